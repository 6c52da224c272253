/**
 * Conversations whose directions use different VNIs: each direction has an entry of its own, and the two are linked.
 *
 * Cilium puts the sender's identity in the VNI, so that the answers to a packet of VNI 20001 come in VNI 20002. Entries
 * that have seen one direction only wait in the table's index under (conversation, endpoints, direction), whatever
 * their path, for an entry of the other direction between the same tunnel endpoints; the latest is the one.
 */
import { Flag, type FlowTable, Word } from './table.ts';
import type { TcpTable } from './tcp.ts';
import type { Endpoints, Paths } from './tunnels.ts';

export class Halves {
  private readonly table: FlowTable;
  private readonly tcp: TcpTable;
  private readonly paths: Paths;
  private readonly endpoints: Endpoints;

  constructor(table: FlowTable, tcp: TcpTable, paths: Paths, endpoints: Endpoints) {
    this.table = table;
    this.tcp = tcp;
    this.paths = paths;
    this.endpoints = endpoints;
  }

  /**
   * Links new entry `id`, whose key is in the table's and whose first packet went in `direction` between `endpoints`,
   * with its other half; where none waits, it waits for one.
   */
  join(id: number, direction: number, endpoints: number): void {
    const { table } = this;
    const reversed = this.endpoints.reverse(endpoints);
    const other = table.findConversation(table.hash(halfNumber(reversed, 1 - direction)));
    if (other >= 0 && this.isHalf(other, 1 - direction, reversed, table.word(id, Word.path))) {
      table.setWord(id, Word.otherHalf, other + 1);
      table.setWord(other, Word.otherHalf, id + 1);
      table.setWord(id, Word.flags, table.word(other, Word.flags) & Flag.forwardBA);
      table.setWord(id, Word.tcp, table.word(other, Word.tcp));
    } else {
      this.offer(id, direction, endpoints);
    }
  }

  /** Lets `id`, all of whose packets went in `direction`, be found as a half by those of the other one. */
  private offer(id: number, direction: number, endpoints: number): void {
    const { table } = this;
    const hash = table.hash(halfNumber(endpoints, direction));
    const before = table.findConversation(hash);
    if (before < 0) table.link(hash, id);
    else table.relink(hash, before, id);
  }

  private isHalf(id: number, direction: number, endpoints: number, path: number): boolean {
    const { table } = this;
    return (
      table.packets(id, direction) > 0 &&
      table.packets(id, 1 - direction) === 0 &&
      table.word(id, Word.otherHalf) === 0 &&
      table.word(id, Word.endpoints + direction) === endpoints &&
      this.paths.sameShape(table.word(id, Word.path), path)
    );
  }

  /**
   * A packet in `direction` has come for `id`, which had the other direction only: it is whole by itself, and what was
   * taken for its other half is another conversation, whose own half may be still to come.
   */
  part(id: number, direction: number): void {
    const other = this.table.word(id, Word.otherHalf) - 1;
    this.separate(id);
    this.offer(other, direction, this.table.word(other, Word.endpoints + direction));
  }

  /** Undoes what `join` did to `id`. */
  separate(id: number): void {
    const { table } = this;
    const other = table.word(id, Word.otherHalf) - 1;
    const younger = id > other ? id : other;
    for (const half of [id, other]) {
      const direction = table.packets(half, 1) > 0 ? 1 : 0;
      table.setWord(half, Word.otherHalf, 0);
      const flags = table.word(half, Word.flags) & ~Flag.forwardBA;
      table.setWord(half, Word.flags, direction === 1 ? flags | Flag.forwardBA : flags);
      const tcp = table.word(half, Word.tcp);
      if (half === younger && tcp >= 0) table.setWord(half, Word.tcp, this.tcp.split(tcp, direction));
    }
  }
}

/** Stands for all paths between `endpoints` in a hash: negative, which no path is. */
function halfNumber(endpoints: number, direction: number): number {
  return ~(2 * endpoints + direction);
}
