import type { Field, FieldValue } from './field.ts';
import type { Layers } from './layers.ts';

/**
 * Tables in which protocols find their payload's protocol, by number. A name always has the same index in a process,
 * so that a step can hold it as a constant; what is in the table belongs to each registry.
 */
const tableNames: string[] = [];
export function table(name: string): number {
  const known = tableNames.indexOf(name);
  return known >= 0 ? known : tableNames.push(name) - 1;
}
export function tableName(index: number): string {
  return tableNames[index];
}

export type Severity = 'note' | 'warning' | 'error';

/** Something odd about a packet, tied to bytes. */
export interface Remark {
  /** 'protocol.kebab-case', e.g. 'geneve.critical-without-c'. */
  readonly code: string;
  readonly severity: Severity;
  /** Index of the layer it is about. */
  readonly layer: number;
  /** Byte range in the frame. */
  readonly offset: number;
  readonly length: number;
  readonly text: string;
}

/** An option of a TLV list as it lies in the packet. */
export interface OptionView {
  /** Option family, the table its decoders are registered in: 'geneve.option'. */
  readonly table: string;
  readonly class: number;
  /** The whole type byte, critical bit included. */
  readonly type: number;
  readonly critical: boolean;
  /** Who the class is assigned to, null where unassigned. */
  readonly vendor: string | null;
  /** Absolute offset of the option; its data follow `headerLength` bytes later. */
  readonly offset: number;
  readonly headerLength: number;
  readonly dataLength: number;
}

/** Receives what a layer holds beyond its fixed fields: the tree and JSON are two implementations. */
export interface Details {
  readonly view: DataView;
  /** Index of the layer being described. */
  readonly layer: number;
  /** Bytes of the layer: [start, end) captured, [start, limit) on the wire; the payload starts at `body`. */
  readonly start: number;
  readonly body: number;
  readonly end: number;
  readonly limit: number;
  /** The layer goes to the end of a datagram whose first fragment this is: `limit` is only a bound. */
  readonly goesOn: boolean;
  /** A field at its place relative to `base`. The caller has checked that its bytes are there. */
  field(field: Field, base: number): void;
  /** A field whose value the dissector made; `offset` and `length` are the bytes it came from. */
  computed<V extends FieldValue>(field: Field<V>, value: V, offset: number, length: number): void;
  /** Opens a branch of the tree; JSON ignores branches. */
  open(label: string, offset: number, length: number): void;
  close(): void;
  option(option: OptionView): void;
  remark(code: string, severity: Severity, offset: number, length: number, text: string): void;
}

/** How the flow path reads a protocol. All from the same fields. */
export interface FlowRole {
  /** Source and destination address: two IPv4, IPv6 or Ethernet fields. */
  readonly addresses?: readonly [Field<string>, Field<string>];
  /** Source and destination port. */
  readonly ports?: readonly [Field<number>, Field<number>];
  /**
   * Tells conversations of ICMP apart: 32 bits, the same in both directions. The type (of the request, where the packet
   * is an answer) is bits 16 to 23; where bit 24 is set, the lower half is an identifier. Bytes up to `end` are there.
   */
  readonly conversation?: (view: DataView, start: number, end: number) => number;
  /** Where this layer can hold a fragment of a datagram. */
  readonly fragment?: {
    /** 0: a whole datagram, 1: a first fragment, 2: a later one. */
    readonly part: (view: DataView, start: number) => number;
    /** What, with the addresses, tells the datagram. */
    readonly identification: (view: DataView, start: number) => number;
  };
  /** What this protocol is called as a tunnel; the inner frame starts at its payload. */
  readonly tunnel?: {
    readonly name: string | ((view: DataView, start: number) => string);
    /** Virtual network identifier of the layer at `start`, -1 where the header has none. */
    readonly vni: (view: DataView, start: number) => number;
    /** TLV options between `from` bytes after the start and the payload. */
    readonly options?: {
      readonly table: string;
      readonly from: number;
      /** Bytes an option's header takes: fewer left means no option. */
      readonly minimum: number;
      /** Bytes of the data behind the header; options past the payload end the list. */
      readonly length: Field<number>;
      /** Sixteen bits, and the eight behind them. */
      readonly class: Field<number>;
      readonly type: Field<number>;
    };
  };
}

/**
 * What most packets of a protocol are like, for the accounting kernel to walk them; every other packet is `step`'s. It says
 * of these packets what `step` would find.
 */
export interface Plain {
  /** Fields and the values they have. */
  readonly is?: readonly (readonly [Field<FieldValue>, number])[];
  /** Bytes of the header: the field's value and `plus`, or that number; where there is neither, `minLength`. */
  readonly header?: { readonly field: Field<number>; readonly plus?: number } | number;
  /** Bytes of the layer: the field's value and `plus`; a value of 0 says nothing. */
  readonly total?: { readonly field: Field<number>; readonly plus?: number };
  /** Table of the payload's protocol, and the field with the key (which is at least `least`), or the key. */
  readonly next:
    | { readonly table: number; readonly field: Field<number>; readonly least?: number }
    /** The same where values of the field, which is within a byte, stand for other keys. */
    | {
        readonly table: number;
        readonly field: Field<number>;
        readonly keys: Readonly<Record<number, number>>;
      }
    | { readonly table: number; readonly key: number }
    /** The ports are the keys. */
    | { readonly ports: number }
    /** Nothing follows an ICMP echo request or its reply; the identifier tells conversations apart. */
    | {
        readonly type: Field<number>;
        readonly request: number;
        readonly reply: number;
        readonly identifier: Field<number>;
      };
  /** Of a tunnel. */
  readonly vni?: Field<number>;
}

export interface Protocol {
  /** Wireshark's protocol name, as in frame.protocols. */
  readonly name: string;
  readonly title: string;
  /** Specification, e.g. 'RFC 8926'. */
  readonly reference: string;
  /** Fixed fields in the order the tree shows them; all lie within `minLength`. */
  readonly fields: readonly Field[];
  /** Fields added by `details`, for listings and filters. */
  readonly detailFields?: readonly Field[];
  /** Bytes that must be there before `step` is called. */
  readonly minLength: number;
  /** Where this protocol is found: table name and key. */
  readonly on: readonly (readonly [table: string, key: number])[];
  /**
   * Reads just enough to find the payload; see `Layers`. At least `minLength` bytes from `start` are there. A body
   * beyond `end` is the walker's to judge. Sets `layers.stop` to give up (malformed, unknown version).
   */
  readonly step: (view: DataView, start: number, layers: Layers) => void;
  readonly plain?: Plain;
  /** What has no fixed place: options, lists, remarks. Only runs for packets somebody looks at. */
  readonly details?: (out: Details) => void;
  /** What to say of this layer in one line, e.g. "Echo request id 7". Only called for layers that are all there. */
  readonly info?: (
    view: DataView,
    start: number,
    layer: { body: number; end: number; limit: number; goesOn: boolean },
  ) => string;
  readonly flow?: FlowRole;
  /**
   * Asked before the payload is taken for this protocol on the word of the source port alone, which any client may
   * have drawn at random. Bytes from start to end are there.
   */
  readonly plausible?: (view: DataView, start: number, end: number) => boolean;
  /** True for what lies above transport: flow accounting does not walk into it. */
  readonly application?: boolean;
  /**
   * Where this protocol is found by its shape: table name whose failed look-ups try `matches`. `matches` must be
   * strict; bytes from start to end are there. With `key`, it is only asked where the look-up was for that one.
   */
  readonly heuristic?: {
    readonly table: string;
    readonly key?: number;
    readonly matches: (view: DataView, start: number, end: number) => boolean;
  };
}

/**
 * A decoder for one TLV option: a description, no control flow. Data whose length does not fit are never decoded.
 *
 * One option may have several decoders, one for each length of its data; they share its name.
 */
export interface OptionDecoder {
  /** Name of the option, 'ovn.ports'. */
  readonly name: string;
  readonly title: string;
  /** Where the format is specified. */
  readonly reference: string;
  /** Option family: 'geneve.option'. */
  readonly table: string;
  readonly class: number;
  /** Full type byte, critical bit included. */
  readonly type: number;
  /** Bytes of data: exactly as many, or at least as many where `groups` or `rest` say what follows. */
  readonly length: number;
  /** Fields of these bytes, in the order the tree shows them, at their offsets in the data. */
  readonly fields: readonly Field[];
  /** Behind `length` bytes: groups of fields, as many as there is room for. */
  readonly groups?: OptionGroups;
  /** Behind `length` bytes and all groups: what is left. Made by `computed`, of type 'bytes' or 'string'. */
  readonly rest?: Field<string>;
}

/** Groups of fields one after the other, all of the same size and make: a list of entries, or what each hop noted. */
export interface OptionGroups {
  /** What the tree calls one, followed by its number: 'Hop'. */
  readonly title: string;
  /** Bytes that one group takes, one of the decoder's `fields`; without it, as many as its items take. */
  readonly size?: Field<number>;
  /** Which items the groups have, one of the decoder's `fields`: see `OptionItem.bit`. */
  readonly present?: Field<number>;
  readonly items: readonly OptionItem[];
}

/** Fields of a group that come together or not at all. */
export interface OptionItem {
  /** Bit of `OptionGroups.present` (its value, 1 for the lowest) that tells of this item; without it, it is always there. */
  readonly bit?: number;
  /**
   * Fields at their offsets from the start of the item, which is as long as they reach; all lists, as there are several
   * groups. A single one made by `computed` takes what the other items leave of the group.
   */
  readonly fields: readonly Field[];
}

export function defineProtocol<P extends Protocol>(protocol: P): P {
  return protocol;
}

export function defineOption<O extends OptionDecoder>(decoder: O): O {
  return decoder;
}

/** A set of protocols and option decoders; the built-in ones are one too. */
export interface Plugin {
  readonly name: string;
  readonly protocols?: readonly Protocol[];
  readonly options?: readonly OptionDecoder[];
}

export function definePlugin(plugin: Plugin): Plugin {
  return plugin;
}
