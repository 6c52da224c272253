/** What flow accounting needs to know of a walked packet: its tunnels, and the addresses and ports inside them. */
import type { Layers } from './layers.ts';
import type { FlowRole, Protocol } from './protocol.ts';
import type { Registry } from './registry.ts';

/** Kinds of address, by which key words are compared and text is made. */
export const AddressKind = { none: 0, ipv4: 1, ipv6: 2, ether: 3 } as const;
export type AddressKind = (typeof AddressKind)[keyof typeof AddressKind];

export const Role = { none: 0, ether: 1, network: 2, ports: 3, tunnel: 4 } as const;

type Tunnel = NonNullable<FlowRole['tunnel']>;

/** Offsets and roles of a registry's protocols, taken from their fields once so that reading a packet is arithmetic. */
export class FlowRoles {
  readonly protocols: readonly Protocol[];
  /** Per protocol number. */
  readonly role: Uint8Array;
  readonly addressKind: Uint8Array;
  readonly sourceAt: Int32Array;
  readonly destinationAt: Int32Array;
  readonly tunnels: (Tunnel | null)[];
  /** Per protocol number: reads a tunnel's VNI. */
  private readonly vnis: ((view: DataView, start: number) => number)[];

  constructor(registry: Registry) {
    const { protocols } = registry;
    this.protocols = protocols;
    this.role = new Uint8Array(protocols.length);
    this.addressKind = new Uint8Array(protocols.length);
    this.sourceAt = new Int32Array(protocols.length);
    this.destinationAt = new Int32Array(protocols.length);
    this.tunnels = protocols.map((protocol) => protocol.flow?.tunnel ?? null);
    this.vnis = this.tunnels.map((tunnel) => tunnel?.vni ?? noVni);
    protocols.forEach((protocol, i) => {
      const { addresses, ports, tunnel } = protocol.flow ?? {};
      const pair = addresses ?? ports;
      if (pair) {
        this.sourceAt[i] = pair[0].at;
        this.destinationAt[i] = pair[1].at;
      }
      if (addresses) {
        const kind = addresses[0].type;
        this.role[i] = kind === 'ether' ? Role.ether : Role.network;
        this.addressKind[i] =
          kind === 'ether' ? AddressKind.ether : kind === 'ipv6' ? AddressKind.ipv6 : AddressKind.ipv4;
      } else if (tunnel) {
        this.role[i] = Role.tunnel;
      } else if (ports) {
        this.role[i] = Role.ports;
      }
    });
  }

  /** What the tunnel whose header is protocol number `protocol` at `start` is called; IP directly in IP is 'ipip'. */
  tunnelName(view: DataView, protocol: number, start: number): string {
    const tunnel = this.tunnels[protocol];
    if (tunnel === null) return 'ipip';
    return typeof tunnel.name === 'string' ? tunnel.name : tunnel.name(view, start);
  }

  /** VNI of that tunnel, -1 where it has none. */
  tunnelVni(view: DataView, protocol: number, start: number): number {
    return this.vnis[protocol](view, start);
  }
}

/** IP directly in IP has no VNI. */
const noVni = () => -1;

const STRIDE = 3;

/** Reused for every packet. Layer indices are those of the `Layers` it was read from; -1 means there is none. */
export class Outline {
  tunnelCount = 0;
  /** Per tunnel, outermost first: its layer, the layers of its endpoints' addresses and ports. */
  private readonly tunnels = new Int32Array(STRIDE * 64);
  /** Absolute offset of the innermost frame. */
  innerStart = 0;
  /** Layer with the addresses of the innermost frame: IP, ARP, or Ethernet where there is nothing better. */
  network = -1;
  /** Layer with its ports. */
  transport = -1;
  /** Last layer that is the packet's own and whose header is whole. */
  last = -1;

  tunnelLayer(i: number): number {
    return this.tunnels[i * STRIDE];
  }
  tunnelNetwork(i: number): number {
    return this.tunnels[i * STRIDE + 1];
  }
  tunnelTransport(i: number): number {
    return this.tunnels[i * STRIDE + 2];
  }

  private enter(layer: number, innerStart: number): void {
    const at = this.tunnelCount * STRIDE;
    this.tunnels[at] = layer;
    this.tunnels[at + 1] = this.network;
    this.tunnels[at + 2] = this.transport;
    this.tunnelCount++;
    this.network = -1;
    this.transport = -1;
    this.innerStart = innerStart;
  }

  read(layers: Layers, roles: FlowRoles, frameStart: number): void {
    this.tunnelCount = 0;
    this.innerStart = frameStart;
    this.network = -1;
    this.transport = -1;
    this.last = -1;
    let count = layers.ownCount;
    // A header that its own step refused says nothing; of one that is cut, only ports that are there count.
    const suspect = layers.quoted < 0 && (layers.refused || layers.partial) ? count - 1 : count;
    if (layers.refused) count = suspect;
    for (let i = 0; i < count; i++) {
      const protocol = layers.protocol(i);
      const role = roles.role[protocol];
      if (i >= suspect) {
        if (role === Role.ports && layers.endOf(i) - layers.start(i) >= roles.destinationAt[protocol] + 2) {
          this.transport = i;
          this.last = i;
        }
        return;
      }
      this.last = i;
      if (role === Role.none) continue;
      if (role === Role.network) {
        // IP whose section already has IP is IP-in-IP: the outer header is the tunnel (RFC 2003, RFC 2473, RFC 4213).
        if (this.network >= 0 && roles.role[layers.protocol(this.network)] === Role.network) {
          this.enter(this.network, layers.start(i));
        }
        this.network = i;
      } else if (role === Role.ports) {
        this.transport = i;
      } else if (role === Role.ether) {
        if (this.network < 0) this.network = i;
      } else if (this.tunnelCount > 0 && this.tunnelLayer(this.tunnelCount - 1) === i - 1) {
        // A tunnel header right behind another is the same tunnel, told more exactly: ERSPAN on GRE.
        this.tunnels[(this.tunnelCount - 1) * STRIDE] = i;
        this.innerStart = layers.bodyOf(i);
      } else {
        this.enter(i, layers.bodyOf(i));
      }
    }
  }
}
