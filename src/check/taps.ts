/** Where in the network a packet was captured: interface of the capture and, where one stands for many, what it says. */
import * as v1 from '../../dissectors/sll.ts';
import * as v2 from '../../dissectors/sll2.ts';
import type { Field } from '../core/field.ts';
import type { FlowRoles } from '../core/outline.ts';
import type { Packet } from '../pipeline.ts';

/** Packet types of cooked captures. */
export const PacketType = { toUs: 0, outgoing: 4 } as const;

/** What the two versions of cooked headers have in common. */
interface Cooked {
  readonly packetType: Field<number>;
  /** MAC address of the sender. */
  readonly address: number;
  readonly device: Field<number> | null;
}

const VERSION1: Cooked = { packetType: v1.packetType, address: v1.address.ether.at, device: null };
const VERSION2: Cooked = {
  packetType: v2.packetType,
  address: v2.address.ether.at,
  device: v2.interfaceIndex,
};

export class Taps {
  private readonly version1: number;
  private readonly version2: number;

  constructor({ protocols }: FlowRoles) {
    this.version1 = protocols.indexOf(v1.sll);
    this.version2 = protocols.indexOf(v2.sll2);
  }

  /** Null unless the frame begins with a cooked header. */
  private cooked({ layers }: Packet): Cooked | null {
    if (layers.count === 0 || (layers.partial && layers.count === 1)) return null;
    const root = layers.protocol(0);
    return root === this.version2 ? VERSION2 : root === this.version1 ? VERSION1 : null;
  }

  /**
   * A number for the place, the same for all packets captured there. Packets that enter and leave a host by one device
   * are in two places where the capture is of all devices (`tcpdump -i any`): it has each packet once for either.
   * Version 1 of its headers does not name the device; the sender's MAC address stands for it.
   */
  of(packet: Packet): number {
    const { batch, index, layers } = packet;
    const number = batch.interfaceIndex[index] << 4;
    const cooked = this.cooked(packet);
    if (cooked === null) return number;
    const { view } = batch;
    const start = layers.start(0);
    const at = start + cooked.address;
    const device = cooked.device
      ? Math.imul(cooked.device.read(view, start), 0x9e3779b1)
      : view.getInt32(at) ^ view.getUint16(at + 4);
    return (device ^ number) + 1 + (cooked.packetType.read(view, start) & 7);
  }

  /** Packet type of a cooked capture, -1 where frames do not tell. */
  type(packet: Packet): number {
    const cooked = this.cooked(packet);
    return cooked === null ? -1 : cooked.packetType.read(packet.batch.view, packet.layers.start(0));
  }

  /** What to call the place. */
  name(packet: Packet): string {
    const { batch, layers, interface: from } = packet;
    const where = from.name ?? (from.file === null ? 'device' : baseName(from.file));
    const cooked = this.cooked(packet);
    if (cooked === null) return where;
    const start = layers.start(0);
    const way = this.type(packet) === PacketType.outgoing ? 'out' : 'in';
    return cooked.device === null
      ? `${where} ${way}`
      : `${where} #${cooked.device.read(batch.view, start)} ${way}`;
  }
}

function baseName(file: string): string {
  return file.slice(file.lastIndexOf('/') + 1);
}
