/** Tunnel paths (what VNIs a flow lives in: part of its key) and tunnel endpoints (who carries it: not part of it). */
import { AddressKind } from '../core/outline.ts';
import { ipv4WordText, ipv6WordsText } from '../core/text.ts';
import { Interner } from './interner.ts';

/** One level of a path. `vni` is null for tunnels without one. */
export interface PathLevel {
  readonly protocol: string;
  readonly vni: number | null;
}

/** Number of the path of untunnelled traffic. */
export const NO_PATH = 0;

/**
 * Paths: lists of (tunnel protocol, VNI), outermost first, interned to numbers.
 * A VNI is kept as 32 bits and -1 for none; a 32-bit GRE key of 0xffffffff reads as none.
 */
export class Paths {
  private readonly interner = new Interner(3, 256);
  private readonly names: string[] = [];
  private readonly numbers = new Map<string, number>();
  private readonly known: (readonly PathLevel[])[] = [];

  constructor() {
    this.interner.key.set([-1, -1, -1]);
    this.interner.intern();
  }

  get size(): number {
    return this.interner.size;
  }

  /** Number of a tunnel protocol's name. */
  nameNumber(name: string): number {
    let number = this.numbers.get(name);
    if (number === undefined) {
      number = this.names.push(name) - 1;
      this.numbers.set(name, number);
    }
    return number;
  }

  intern(parent: number, name: number, vni: number): number {
    const { key } = this.interner;
    key[0] = parent;
    key[1] = name;
    key[2] = vni;
    return this.interner.intern();
  }

  parent(path: number): number {
    return this.interner.word(path, 0);
  }

  level(path: number): PathLevel {
    const vni = this.interner.word(path, 2);
    return { protocol: this.names[this.interner.word(path, 1)], vni: vni === -1 ? null : vni >>> 0 };
  }

  /** Levels of a path, outermost first; the same array for every call. */
  levels(path: number): readonly PathLevel[] {
    this.known[path] ??= path === NO_PATH ? [] : [...this.levels(this.parent(path)), this.level(path)];
    return this.known[path];
  }

  /** True where two paths use the same protocols, whatever their VNIs. */
  sameShape(a: number, b: number): boolean {
    let x = a;
    let y = b;
    while (x !== NO_PATH && y !== NO_PATH) {
      if (this.interner.word(x, 1) !== this.interner.word(y, 1)) return false;
      x = this.parent(x);
      y = this.parent(y);
    }
    return x === y;
  }

  /** The innermost level with a VNI; where no level has one, the innermost; nulls for untunnelled traffic. */
  vniLevel(path: number): { protocol: string | null; vni: number | null } {
    for (let at = path; at !== NO_PATH; at = this.parent(at)) {
      const level = this.level(at);
      if (level.vni !== null) return level;
    }
    return path === NO_PATH ? { protocol: null, vni: null } : this.level(path);
  }

  /** Innermost VNI, null where no level has one. */
  vni(path: number): number | null {
    return this.vniLevel(path).vni;
  }
}

export interface EndpointLevel {
  readonly src: string | null;
  readonly dst: string | null;
  readonly dstPort: number | null;
}

/** Number of the endpoints of untunnelled traffic. */
export const NO_ENDPOINTS = 0;

// Words of a level, the short forms first: IPv4 needs four words, IPv6 all ten.
const PARENT = 0;
/** Address kind in the upper half, destination port in the lower, 0 for none. */
const KIND_AND_PORT = 1;
const WIDTH = 10;
const lengthOf = (kind: number) => (kind === AddressKind.ipv6 ? 10 : kind === AddressKind.ether ? 6 : 4);

/** Endpoints: lists of (source, destination, destination port) of tunnels, outermost first, as one packet had them. */
export class Endpoints {
  private readonly interner = new Interner(WIDTH, 256);
  private length = 0;
  private readonly known: (readonly EndpointLevel[])[] = [];
  /** Words of the two addresses: fill before `load`. */
  readonly source = new Int32Array(4);
  readonly destination = new Int32Array(4);

  constructor() {
    this.interner.key.fill(-1);
    this.interner.intern();
  }

  /** Takes `source` and `destination` for what `isLoaded` and `intern` are about. */
  load(parent: number, kind: AddressKind, port: number): void {
    const { source, destination } = this;
    const { key } = this.interner;
    key[PARENT] = parent;
    key[KIND_AND_PORT] = (kind << 16) | port;
    this.length = lengthOf(kind);
    for (let i = 0; 2 * i + 2 < this.length; i++) {
      key[2 + 2 * i] = source[i];
      key[3 + 2 * i] = destination[i];
    }
  }

  /** True where `endpoints` are what was loaded. */
  isLoaded(endpoints: number): boolean {
    return this.interner.equals(endpoints, this.length);
  }

  /** Number of what was loaded. */
  intern(): number {
    return this.interner.intern(this.length);
  }

  /** The same tunnels seen in the other direction. */
  reverse(endpoints: number): number {
    if (endpoints === NO_ENDPOINTS) return NO_ENDPOINTS;
    const { interner } = this;
    const parent = this.reverse(interner.word(endpoints, PARENT));
    const kindAndPort = interner.word(endpoints, KIND_AND_PORT);
    for (let i = 0; i < 4; i++) {
      this.destination[i] = interner.word(endpoints, 2 + 2 * i);
      this.source[i] = interner.word(endpoints, 3 + 2 * i);
    }
    this.load(parent, (kindAndPort >>> 16) as AddressKind, kindAndPort & 0xffff);
    return this.intern();
  }

  /** Levels of endpoints, outermost first; the same array for every call. */
  levels(endpoints: number): readonly EndpointLevel[] {
    const outer = (): readonly EndpointLevel[] => this.levels(this.interner.word(endpoints, PARENT));
    this.known[endpoints] ??= endpoints === NO_ENDPOINTS ? [] : [...outer(), this.level(endpoints)];
    return this.known[endpoints];
  }

  private level(endpoints: number): EndpointLevel {
    const word = (i: number) => this.interner.word(endpoints, i);
    const kind = (word(KIND_AND_PORT) >>> 16) as AddressKind;
    const port = word(KIND_AND_PORT) & 0xffff;
    return {
      src: addressText(kind, word(2), word(4), word(6), word(8)),
      dst: addressText(kind, word(3), word(5), word(7), word(9)),
      dstPort: port === 0 ? null : port,
    };
  }
}

/** Address held in key words as text, null for no address. */
export function addressText(kind: AddressKind, a: number, b: number, c: number, d: number): string | null {
  switch (kind) {
    case AddressKind.ipv4:
      return ipv4WordText(a);
    case AddressKind.ipv6:
      return ipv6WordsText(a, b, c, d);
    case AddressKind.ether: {
      const hex = (a >>> 0).toString(16).padStart(8, '0') + (b & 0xffff).toString(16).padStart(4, '0');
      return hex.match(/../g)!.join(':');
    }
    default:
      return null;
  }
}
