/** Tunnel paths (what VNIs a flow lives in: part of its key) and tunnel endpoints (who carries it: not part of it). */
import { AddressKind } from '../core/outline.ts';
import { ipv4WordText, ipv6WordsText } from '../core/text.ts';
import { Interner } from './interner.ts';
import { type Kernel, Tuples } from './kernel.ts';

/** One level of a path. `vni` is null for tunnels without one. */
export interface PathLevel {
  readonly protocol: string;
  readonly vni: number | null;
}

/** Number of the path of untunnelled traffic. */
export const NO_PATH = 0;

/** One level with a VNI of 24 bits, which is nearly every path, says what it is: this bit, name (6 bits), VNI. */
const DIRECT = 1 << 30;
const DIRECT_NAMES = 64;

/**
 * Paths: lists of (tunnel protocol, VNI), outermost first, as numbers.
 * A VNI is kept as 32 bits and -1 for none; a 32-bit GRE key of 0xffffffff reads as none.
 */
export class Paths {
  private readonly interner = new Interner(3, 256);
  private readonly names: string[] = [];
  private readonly numbers = new Map<string, number>();
  private readonly known = new Map<number, readonly PathLevel[]>();
  /** VNIs that packets count for, by number and by name. */
  readonly vnis: { readonly protocol: string | null; readonly vni: number | null }[] = [];
  private readonly vniNumbers = new Map<string, number>();

  constructor() {
    this.interner.key.set([-1, -1, -1]);
    this.interner.intern();
  }

  /** Names of tunnel protocols, by number. */
  get protocolNames(): readonly string[] {
    return this.names;
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
    if (parent === NO_PATH && vni >= 0 && vni <= 0xffffff && name < DIRECT_NAMES)
      return DIRECT | (name << 24) | vni;
    const { key } = this.interner;
    key[0] = parent;
    key[1] = name;
    key[2] = vni;
    return this.interner.intern();
  }

  private word(path: number, i: number): number {
    if ((path & DIRECT) === 0) return this.interner.word(path, i);
    return i === 0 ? NO_PATH : i === 1 ? (path >>> 24) & (DIRECT_NAMES - 1) : path & 0xffffff;
  }

  parent(path: number): number {
    return this.word(path, 0);
  }

  level(path: number): PathLevel {
    const vni = this.word(path, 2);
    return { protocol: this.names[this.word(path, 1)], vni: vni === -1 ? null : vni >>> 0 };
  }

  /** Levels of a path, outermost first; the same array for every call. */
  levels(path: number): readonly PathLevel[] {
    let levels = this.known.get(path);
    if (levels === undefined) {
      levels = path === NO_PATH ? [] : [...this.levels(this.parent(path)), this.level(path)];
      this.known.set(path, levels);
    }
    return levels;
  }

  /** True where two paths use the same protocols, whatever their VNIs. */
  sameShape(a: number, b: number): boolean {
    let x = a;
    let y = b;
    while (x !== NO_PATH && y !== NO_PATH) {
      if (this.word(x, 1) !== this.word(y, 1)) return false;
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

  /** Number in `vnis` of the level that `vniLevel` gives. */
  vniNumber(path: number): number {
    const level = this.vniLevel(path);
    const name = `${level.protocol} ${level.vni}`;
    let number = this.vniNumbers.get(name);
    if (number === undefined) {
      number = this.vnis.push(level) - 1;
      this.vniNumbers.set(name, number);
    }
    return number;
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

/** Endpoints: lists of (source, destination, destination port) of tunnels, outermost first, as one packet had them. */
export class Endpoints {
  private readonly kernel: Kernel;
  private readonly known: (readonly EndpointLevel[])[] = [];

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }

  /** Levels of endpoints, outermost first; the same array for every call. */
  levels(endpoints: number): readonly EndpointLevel[] {
    this.known[endpoints] ??= endpoints === NO_ENDPOINTS ? [] : this.read(endpoints);
    return this.known[endpoints];
  }

  private read(endpoints: number): readonly EndpointLevel[] {
    const word = (i: number) => this.kernel.exports.tupleWord(Tuples.endpoints, endpoints, i);
    const kind = (word(1) >>> 16) as AddressKind;
    const port = word(1) & 0xffff;
    const level = {
      src: addressText(kind, word(2), word(4), word(6), word(8)),
      dst: addressText(kind, word(3), word(5), word(7), word(9)),
      dstPort: port === 0 ? null : port,
    };
    return [...this.levels(word(0)), level];
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
