/**
 * The accounting kernel: flow table, TCP analysis and the walk of plain packets, in WebAssembly (src/kernel; why, and what
 * it brings, is in docs/decisions/0006). This is its host: it lays out what the kernel reads, from the protocols' fields.
 */
import { randomFillSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { acknowledgment, flags, sequence, tcp } from '../../dissectors/tcp.ts';
import type { PacketBatch } from '../capture/batch.ts';
import type { Dissector } from '../core/dissector.ts';
import type { Field, FieldValue } from '../core/field.ts';
import { Stop } from '../core/layers.ts';
import type { FlowRoles } from '../core/outline.ts';
import type { Protocol } from '../core/protocol.ts';
import { MemoryError } from '../errors.ts';

/** What the kernel asks of its host; see src/kernel/json.ts. */
export interface KernelHost {
  sameShape(a: number, b: number): boolean;
  vniOf(path: number): number;
  vniNumber(path: number): number;
  tunnelsText(path: number, endpoints: number): string;
  /** An option (class << 8 | type) as JSON, up to its number of packets. */
  optionText(table: number, option: number): string;
}

interface Exports {
  seed(at: number): void;
  initialize(
    rows: number,
    analyses: number,
    join: number,
    ignoreVni: number,
    share: number,
    shares: number,
  ): void;
  allocate(bytes: number): number;
  walk(batch: number, from: number, to: number): number;
  accountWalked(walked: number, list: number, from: number, to: number, first: number): number;
  accountOne(walked: number, number: number): number;
  countAs(flow: number, walked: number): void;
  adjust(flow: number, direction: number, packets: number, bytes: number, outerBytes: number): void;
  countOptions(flow: number, set: number, packets: number): void;
  withOption(set: number, table: number, option: number): number;
  internEndpoints(at: number): number;
  reverseEndpoints(endpoints: number): number;
  loseTrack(flow: number, direction: number): void;
  segmentOf(flow: number, walked: number): void;
  separate(flow: number): void;
  serialOf(flow: number): number;
  saveState(at: number): void;
  adoptState(at: number): void;
  otherHalf(flow: number): number;
  touchTimes(flow: number, seconds: number, nanoseconds: number): void;
  untime(flow: number): void;
  size(): number;
  flow(id: number): number;
  packets(flow: number, direction: number): number;
  bytes(flow: number, direction: number): number;
  outerBytes(flow: number, direction: number): number;
  isFlow(flow: number): number;
  flows(): number;
  liveFlows(): number;
  isOutOfOrder(): number;
  findTimedOut(idle: number, active: number, looks: number, to: number, room: number): number;
  remove(flow: number): void;
  sortKey(flow: number, by: number): number;
  largest(by: number, limit: number, to: number): number;
  setNames(protocols: number, tunnels: number): void;
  flowText(flow: number, to: number): number;
  flowLines(from: number, to: number, room: number): number;
  nextFlow: { value: number };
  newVniSums(): number;
  clearVniSums(sums: number): void;
  addToVnis(sums: number, before: number, share: number, id: number): void;
  addAllToVnis(sums: number, before: number, share: number): void;
  tupleWord(table: number, id: number, word: number): number;
  tuples(table: number): number;
}

/** What the kernel ends with when its memory is used up: it traps. */
export function explained(error: unknown): unknown {
  return (error as Error).name === 'RuntimeError'
    ? new MemoryError('the flows take more than 4 GiB, or than this machine has; bound them with --max-flows')
    : error;
}

/** Interned tuples, by the numbers that `tupleWord` takes. */
export const Tuples = { endpoints: 0, optionSets: 1, otherSets: 2, formerEndpoints: 3 } as const;

/** Where the kernel's heap pointer is (src/kernel/memory.ts). */
const HEAP_TOP = 64;
const PAGE = 65536;
/** 4 GiB, all that 32-bit addresses reach; of it only what is used takes memory. */
const MAX_PAGES = 65536;
/** Packets walked before they are accounted: what the walk leaves of them stays in the first-level cache. */
const WALK_AHEAD = 256;
/** Bytes that one flow's text may have. */
export const LINE_ROOM = 1 << 18;

function reserved(): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: 256, maximum: MAX_PAGES, shared: true });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new MemoryError('no address space is left for the flows: see ulimit -v, which need not be limited');
  }
}

let compiled: WebAssembly.Module | null = null;
function kernelModule(): WebAssembly.Module {
  compiled ??= new WebAssembly.Module(readFileSync(new URL('./kernel.wasm', import.meta.url)));
  return compiled;
}

/** What kernels that share the conversations of a capture have in common. */
export interface Common {
  readonly memory: WebAssembly.Memory;
  /** Address of the seeds of hashes. */
  readonly seeds: number;
}

export interface Sharing {
  /** Which of `shares` shares of the conversations this kernel keeps. */
  readonly share: number;
  readonly shares: number;
  /** Of the first kernel, for all the others. */
  readonly common?: Common;
}

export class Kernel {
  private readonly memory: WebAssembly.Memory;
  readonly sharing: Sharing;
  readonly common: Common;
  readonly exports: Exports;
  /** Offsets and sizes, in bytes, of the kernel's structures: `walkedPorts`, `flowFirst`. */
  readonly layout: Readonly<Record<string, number>>;
  /** All of the memory as words; `refresh` follows its growth. */
  words: Int32Array;
  private readonly host: KernelHost;
  private readonly text: Buffer;
  private readonly textAt: number;
  private readonly optionTexts = new Map<number, number>();
  /** Views of the memory that blocks and columns were made on: it gives out a new one when it grows. */
  private readonly buffers = new WeakSet<ArrayBufferLike>();
  private readonly copies: Uint8Array<ArrayBufferLike>[] = [];
  /** Names of tunnels that the kernel has been given. */
  private named = -1;
  private readonly batchAt: number;
  private readonly walkedAt: number;
  /** Packets of the batch that have been walked and wait at `walkedAt`. */
  private walkedFrom = 0;
  private walkedTo = 0;

  constructor(host: KernelHost, sharing: Sharing = { share: 0, shares: 1 }) {
    this.host = host;
    this.sharing = sharing;
    this.memory = sharing.common?.memory ?? reserved();
    const imports = {
      env: { memory: this.memory },
      host: {
        sameShape: (a: number, b: number) => host.sameShape(a >>> 0, b >>> 0),
        vniOf: (path: number) => host.vniOf(path >>> 0),
        vniNumber: (path: number) => host.vniNumber(path >>> 0),
        tunnelsText: (path: number, ends: number, to: number) =>
          this.write(host.tunnelsText(path >>> 0, ends), to >>> 0),
        optionText: (table: number, option: number) => this.optionText(table, option),
      },
    };
    const exports = new WebAssembly.Instance(kernelModule(), imports).exports;
    this.exports = exports as unknown as Exports;
    this.layout = Object.fromEntries(
      Object.entries(exports).flatMap(([name, value]) =>
        value instanceof WebAssembly.Global ? [[name, value.value]] : [],
      ),
    );
    if (!sharing.common) new Uint32Array(this.memory.buffer)[HEAP_TOP / 4] = PAGE;
    this.common = sharing.common ?? { memory: this.memory, seeds: this.makeSeeds() };
    this.exports.seed(this.common.seeds);
    this.words = new Int32Array(this.memory.buffer);
    this.textAt = this.allocate(LINE_ROOM);
    this.batchAt = this.allocate(40);
    this.walkedAt = this.allocate(WALK_AHEAD * this.layout.walkedSize);
    this.words = new Int32Array(this.memory.buffer);
    this.text = Buffer.from(this.memory.buffer, this.textAt, LINE_ROOM);
  }

  private makeSeeds(): number {
    const seeds = this.allocate(56);
    const random = randomFillSync(Buffer.alloc(56));
    new Uint8Array(this.memory.buffer, seeds, 56).set(random);
    return seeds;
  }

  /** Bytes in the kernel's memory, zeroed; never given back. */
  allocate(bytes: number): number {
    try {
      return this.exports.allocate(bytes) >>> 0;
    } catch (error) {
      throw explained(error);
    }
  }

  /** Follows the memory's growth: addresses got since the last call are in `words` then. */
  refresh(): Int32Array {
    if (this.words.byteLength < this.memory.buffer.byteLength)
      this.words = new Int32Array(this.memory.buffer);
    return this.words;
  }

  /** Stores text, returns its length. */
  private write(text: string, to: number): number {
    return Buffer.from(this.memory.buffer, to, text.length * 3).write(text);
  }

  /** A list of (address, length) of texts, behind their count. */
  private list(texts: readonly string[]): number {
    const at = this.allocate(4 + 8 * texts.length);
    texts.forEach((text, i) => {
      const place = this.allocate(text.length * 3);
      const length = this.write(text, place);
      this.refresh().set([place, length], at / 4 + 1 + 2 * i);
    });
    this.refresh()[at / 4] = texts.length;
    return at;
  }

  private optionText(table: number, option: number): number {
    const key = table * 2 ** 24 + option;
    let at = this.optionTexts.get(key);
    if (at === undefined) {
      at = this.list([this.host.optionText(table, option)]) + 4;
      this.optionTexts.set(key, at);
    }
    return at;
  }

  /**
   * Tells the kernel what there is to know of the protocols.
   * @param tunnelNames by number, as they are in paths
   */
  initialize(
    dissector: Dissector,
    roles: FlowRoles,
    options: {
      analyses: boolean;
      join: boolean;
      ignoreVni: boolean;
      tunnelName: (protocol: number) => number;
      optionTable: (name: string) => number;
    },
  ): void {
    const rows = this.allocate(4 * roles.protocols.length);
    const tables = new Map<number, number>();
    const tableAt = (index: number, keys: number) => {
      let at = tables.get(index);
      if (at === undefined) {
        at = this.allocate(2 * keys);
        const numbers = new Int16Array(this.memory.buffer, at, keys);
        dissector.copyTable(index, numbers);
        for (const key of dissector.heuristicKeys(index))
          if (key !== undefined && numbers[key] < 0) numbers[key] = ASK;
        tables.set(index, at);
      }
      return at;
    };
    roles.protocols.forEach((protocol, number) => {
      const row = plainRow(
        protocol,
        roles.role[number],
        roles.addressKind[number],
        dissector,
        tableAt,
        (numbers) => {
          const at = this.allocate(numbers.byteLength);
          new Int16Array(this.memory.buffer, at, numbers.length).set(numbers);
          return at;
        },
        options,
      );
      if (row === null) return;
      const { options: list } = protocol.flow?.tunnel ?? {};
      let listAt = 0;
      if (list) {
        listAt = this.allocate(24);
        const { at, mask } = list.length;
        const place = listAt / 4;
        this.refresh().set(
          [options.optionTable(list.table), list.minimum, at, mask, scaleOf(list.length), list.class.at],
          place,
        );
      }
      const at = this.allocate(4 * row.length);
      row[row.indexOf(OPTION_LIST)] = listAt;
      this.refresh().set(row, at / 4);
      this.refresh()[rows / 4 + number] = at;
    });
    const { share, shares } = this.sharing;
    const { analyses, join, ignoreVni } = options;
    this.exports.initialize(rows, Number(analyses), Number(join), Number(ignoreVni), share, shares);
  }

  /** Gives the kernel the names that it writes. */
  nameAll(protocols: readonly Protocol[], tunnels: readonly string[]): void {
    if (this.named === tunnels.length) return;
    this.named = tunnels.length;
    const names = this.allocate(12 * protocols.length);
    protocols.forEach(({ name, flow }, i) => {
      const place = this.allocate(3 * name.length + 2);
      const length = this.write(JSON.stringify(name), place);
      const traits = (flow?.ports ? 1 : 0) | (flow?.conversation ? 2 : 0);
      this.refresh().set([place, length, traits], names / 4 + 3 * i);
    });
    this.exports.setNames(names, this.list(tunnels.map((name) => JSON.stringify(name))) + 4);
  }

  /** Copies an array to an address. */
  store(at: number, array: Int32Array | Float64Array | Uint8Array): void {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    new Uint8Array(this.refresh().buffer).set(bytes, at);
  }

  /** Memory for blocks and columns of batches: packets that lie in it are walked where they are. */
  allocateBytes(bytes: number): Uint8Array<ArrayBufferLike> {
    const at = this.allocate(bytes);
    const { buffer } = this.memory;
    this.buffers.add(buffer);
    return new Uint8Array(buffer, at, bytes);
  }

  /** Whether an array lies in the kernel's memory. */
  holds({ buffer }: ArrayBufferView): boolean {
    return this.buffers.has(buffer);
  }

  /**
   * Accounts the packets of a batch from `from` on up to the first that is not plain, whose index it returns, or `to`.
   * @param roots number of the protocol that frames of each interface begin with
   * @param serial number of packet `from`
   */
  take(
    batch: PacketBatch,
    from: number,
    to: number,
    roots: Int32Array,
    stops: Float64Array,
    serial: number,
  ): number {
    const { exports, walkedAt, batchAt } = this;
    const size = this.layout.walkedSize;
    if (from === 0) {
      this.attach(batch, to, roots);
      this.walkedFrom = 0;
      this.walkedTo = 0;
    }
    try {
      for (let i = from; i < to; ) {
        if (i >= this.walkedTo) {
          this.walkedFrom = i;
          this.walkedTo = Math.min(i + WALK_AHEAD, to);
          // The kernel adds the packet's index: in 32 bits, this wraps around to the beginning of its room.
          this.words[batchAt / 4 + 8] = walkedAt - i * size;
          stops[Stop.truncated] += exports.walk(batchAt, i, this.walkedTo);
        }
        const next = exports.accountWalked(
          walkedAt - this.walkedFrom * size,
          0,
          i,
          this.walkedTo,
          serial - from,
        );
        if (next < this.walkedTo) return next;
        i = next;
      }
    } catch (error) {
      throw explained(error);
    }
    return to;
  }

  /** Tells the kernel where a batch is, which is copied where it lies elsewhere. */
  private attach(batch: PacketBatch, count: number, roots: Int32Array): void {
    const { bytes, offset, captured, length, seconds, nanoseconds, interfaceIndex } = batch;
    let arrays: ArrayBufferView[] = [bytes, offset, captured, length, seconds, nanoseconds, interfaceIndex];
    if (!arrays.every((array) => this.holds(array))) {
      arrays = arrays.map((array, i) =>
        this.copy(i, i === 0 ? bytes : (array as Int32Array).subarray(0, count)),
      );
    }
    const places = arrays.map(({ byteOffset }) => byteOffset);
    this.words.set([...places, this.copy(arrays.length, roots).byteOffset], this.batchAt / 4);
  }

  private copy(which: number, array: ArrayBufferView): Uint8Array<ArrayBufferLike> {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    if ((this.copies[which]?.length ?? 0) < bytes.length + 8)
      this.copies[which] = this.allocateBytes(2 * bytes.length + 64);
    this.copies[which].set(bytes);
    return this.copies[which];
  }

  /** The at most `limit` flows with the largest `sortKey`, in no order. */
  largest(by: number, limit: number): { id: number; key: number; serial: number }[] {
    const size = this.layout.candidateSize;
    const at = this.allocate(size * (limit + 1));
    const count = this.exports.largest(by, limit, at);
    const view = new DataView(this.refresh().buffer, at, size * count);
    return Array.from({ length: count }, (_, i) => ({
      id: view.getUint32(size * i + 16, true),
      key: view.getFloat64(size * i, true),
      serial: view.getFloat64(size * i + 8, true),
    }));
  }

  /** Flow `id` as a line of JSON. */
  flowText(id: number): string {
    return this.text.toString('utf8', 0, this.exports.flowText(id, this.textAt));
  }

  /**
   * All flows as lines of JSON, in pieces.
   * @param rooms in the kernel's memory, which take turns
   * @param size bytes from which on a piece is full; a room has space for a line more
   */
  *flowLines(rooms: readonly Uint8Array[], size: number): Generator<Uint8Array> {
    const { exports } = this;
    for (let id = 0, piece = 0; id < exports.size(); id = exports.nextFlow.value, piece++) {
      const room = rooms[piece % rooms.length];
      const length = exports.flowLines(id, room.byteOffset, size);
      if (length > 0) yield room.subarray(0, length);
    }
  }
}

/** Roles of rows: its addresses are no plain packet's, and one that is no protocol's own. */
const ETHER = 1;
const ECHO = 5;
/** In `conversation` numbers; see `FlowRole`. */
const HAS_IDENTIFIER = 0x100;
/** In a table of protocols: only the walk here can tell. */
const ASK = -2;
/** Stands in a row for the address of the option list until that is known. */
const OPTION_LIST = -0x7fffffff;
const Next = { byte: 0, type: 1, fixed: 2, ports: 3 } as const;
const DIRECT_PATH = 1 << 30;

/** What one unit of a masked field is worth. */
function scaleOf(field: Field<number>): number {
  const bytes = new DataView(new ArrayBuffer(field.at + 8));
  bytes.setUint8(field.at, field.mask & -field.mask);
  return field.read(bytes, 0);
}

function shiftOf(mask: number): number {
  return 31 - Math.clz32(mask & -mask);
}

/** The check of a plain description: which bits of eight bytes count and what they must be, as words, and where they begin. */
function checkOf(name: string, is: readonly (readonly [Field<FieldValue>, number])[]): number[] {
  const at = is.length === 0 ? 0 : Math.min(...is.map(([field]) => field.at));
  const masks = new DataView(new ArrayBuffer(8));
  const values = new DataView(new ArrayBuffer(8));
  for (const [{ at: place, size, mask }, value] of is) {
    if (place + size > at + 8) throw new Error(`plain description of ${name}: its checks lie too far apart`);
    const bits = mask === 0 ? 2 ** (8 * size) - 1 : mask;
    for (let i = 0; i < size; i++) {
      const byte = place - at + i;
      const down = 8 * (size - 1 - i);
      masks.setUint8(byte, masks.getUint8(byte) | (bits >>> down));
      values.setUint8(byte, values.getUint8(byte) | ((value << shiftOf(bits)) >>> down));
    }
  }
  return [...[masks, values].flatMap((view) => [view.getInt32(0, true), view.getInt32(4, true)]), at];
}

/** Words of a protocol's `Row` (src/kernel/walk.ts), null where it has no plain description that the kernel can follow. */
function plainRow(
  protocol: Protocol,
  role: number,
  kind: number,
  dissector: Dissector,
  tableAt: (index: number, keys: number) => number,
  placeOf: (numbers: Int16Array) => number,
  options: { tunnelName: (protocol: number) => number },
): number[] | null {
  const { plain, flow } = protocol;
  if (!plain) return null;
  const { next, total } = plain;
  const header = typeof plain.header === 'object' ? plain.header : undefined;
  // Where payloads are recognised by their looks, a key that leads nowhere says nothing.
  if ('table' in next && dissector.heuristicKeys(next.table).length > 0) return null;
  const pair = flow?.addresses ?? flow?.ports;
  if (pair && role !== ETHER && pair[0].at + pair[0].size !== pair[1].at) return null;
  // The walk reads a TCP header as words that lie behind the ports.
  if (protocol === tcp && [sequence, acknowledgment, flags].some(({ at }, i) => at !== 4 * (i + 1)))
    return null;
  const number = dissector.registry.protocols.indexOf(protocol);
  let following: [kind: number, at: number, least: number, table: number];
  if ('ports' in next) {
    if (dissector.heuristicKeys(next.ports).includes(undefined)) return null;
    following = [Next.ports, 0, 0, tableAt(next.ports, 65536)];
  } else if ('request' in next) {
    following = [Next.fixed, 0, 0, -1];
  } else if ('keys' in next) {
    const byte = new DataView(new ArrayBuffer(1));
    const numbers = Int16Array.from({ length: 256 }, (_, value) => {
      byte.setUint8(0, value);
      const key = next.keys[next.field.read(byte, -next.field.at)];
      return key === undefined ? -1 : dissector.lookup(next.table, key);
    });
    following = [Next.byte, next.field.at, 0, placeOf(numbers)];
  } else if ('key' in next) {
    following = [Next.fixed, 0, 0, dissector.lookup(next.table, next.key)];
  } else {
    const { at, size } = next.field;
    following = [
      size === 1 ? Next.byte : Next.type,
      at,
      next.least ?? 0,
      tableAt(next.table, size === 1 ? 256 : 65536),
    ];
  }
  return [
    typeof plain.header === 'number' ? plain.header : protocol.minLength,
    'request' in next ? ECHO : role,
    kind << 16,
    pair?.[0].at ?? 0,
    ...checkOf(protocol.name, plain.is ?? []),
    header?.field.at ?? 0,
    header?.field.mask ?? 0,
    header ? shiftOf(header.field.mask) : 0,
    header ? scaleOf(header.field) : 0,
    header?.plus ?? 0,
    total?.field.at ?? -1,
    total?.plus ?? 0,
    ...following,
    plain.vni?.at ?? 0,
    flow?.tunnel ? DIRECT_PATH | (options.tunnelName(number) << 24) : 0,
    flow?.tunnel?.options?.from ?? 0,
    OPTION_LIST,
    protocol === tcp ? flags.mask : 0,
    ...('request' in next
      ? [next.type.at, next.request, next.reply, next.identifier.at, (HAS_IDENTIFIER | next.request) << 16]
      : [0, 0, 0, 0, 0]),
  ];
}
