/** Names and keys of protocols and option decoders, resolved once into flat tables. */
import { UsageError } from '../errors.ts';
import { fitsOption, isVariable, itemSize } from './option.ts';
import { type OptionDecoder, type Plugin, type Protocol, table, tableName } from './protocol.ts';
import { hexNumber } from './text.ts';

/** Largest key kept in a flat array; larger ones (32-bit identifiers) go to a map. */
const DENSE = 0x10000;

/** Number of a protocol by key; -1 where there is none. */
export class DispatchTable {
  private readonly dense = new Int16Array(DENSE).fill(-1);
  private readonly sparse = new Map<number, number>();
  /** Protocols found by their shape, tried in order where the key finds none. */
  readonly heuristics: number[] = [];

  /** Copies what is found under the keys from 0 on. */
  copyTo(numbers: Int16Array): void {
    numbers.set(this.dense.subarray(0, numbers.length));
  }
  get(key: number): number {
    return key < DENSE ? this.dense[key] : (this.sparse.get(key) ?? -1);
  }
  set(key: number, protocol: number): void {
    if (key < DENSE) this.dense[key] = protocol;
    else this.sparse.set(key, protocol);
  }
}

/** An option decoder and the plug-in it came with. */
export interface RegisteredOption {
  readonly decoder: OptionDecoder;
  readonly origin: string;
}

export interface ProtocolKey {
  readonly table: string;
  readonly key: number | null;
}

const NO_DECODERS: readonly OptionDecoder[] = [];

/** Takes registrations, then `compile`s; frozen from then on. */
export class Registry {
  private readonly protocolList: Protocol[] = [];
  private readonly origins: string[] = [];
  private readonly byName = new Map<string, number>();
  private readonly owners = new Map<string, string>();
  private readonly bindings = new Map<string, { table: number; key: number; protocol: number }>();
  /** Decoders by option family and number; those of one option in the order they are asked. */
  private readonly optionMap = new Map<string, Map<number, OptionDecoder[]>>();
  private readonly optionList: RegisteredOption[] = [];
  private frozen = false;

  get protocols(): readonly Protocol[] {
    return this.protocolList;
  }

  /** The plug-in that a protocol came with. */
  originOf(protocol: number): string {
    return this.origins[protocol];
  }

  /** Where a protocol is found, `decodeAs` included; a key of null stands for the shape of the payload. */
  keysOf(protocol: number): ProtocolKey[] {
    const keys: ProtocolKey[] = [...this.bindings.values()]
      .filter((binding) => binding.protocol === protocol)
      .map((binding) => ({ table: tableName(binding.table), key: binding.key }));
    const { heuristic } = this.protocolList[protocol];
    return heuristic ? [...keys, { table: heuristic.table, key: null }] : keys;
  }

  /** Option decoders in the order they were added. */
  get options(): readonly RegisteredOption[] {
    return this.optionList;
  }

  add(plugin: Plugin): this {
    if (this.frozen) throw new Error('registry is compiled: nothing can be added');
    for (const protocol of plugin.protocols ?? []) this.addProtocol(protocol, plugin.name);
    for (const decoder of plugin.options ?? []) this.addOption(decoder, plugin.name);
    return this;
  }

  private claim(what: string, owner: string): void {
    const other = this.owners.get(what);
    if (other !== undefined) throw new UsageError(`${what} is claimed by ${other} and by ${owner}`);
    this.owners.set(what, owner);
  }

  private addProtocol(protocol: Protocol, owner: string): void {
    this.claim(`protocol ${protocol.name}`, owner);
    for (const field of protocol.fields) {
      if (field.at + field.size > protocol.minLength) {
        throw new UsageError(
          `field ${field.name} of ${owner} lies beyond the ${protocol.minLength} bytes that ${protocol.name} guarantees`,
        );
      }
    }
    const index = this.protocolList.push(protocol) - 1;
    this.origins.push(owner);
    this.byName.set(protocol.name, index);
    for (const [name, key] of protocol.on) {
      this.claim(`${name} ${key}`, `${protocol.name} (${owner})`);
      this.bind(name, key, index);
    }
  }

  private addOption(decoder: OptionDecoder, owner: string): void {
    checkOption(decoder, owner);
    const { table: family, class: optionClass, type, length } = decoder;
    this.claim(
      `${family} class ${hexNumber(optionClass, 4)} type ${hexNumber(type, 2)} length ${isVariable(decoder) ? 'any' : length}`,
      `${decoder.name} (${owner})`,
    );
    this.optionList.push({ decoder, origin: owner });
    let options = this.optionMap.get(family);
    if (!options) {
      options = new Map();
      this.optionMap.set(family, options);
    }
    const key = optionKey(optionClass, type);
    const decoders = [...(options.get(key) ?? []), decoder];
    // What is described for one length only is told more exactly.
    decoders.sort((a, b) => Number(isVariable(a)) - Number(isVariable(b)) || a.length - b.length);
    options.set(key, decoders);
  }

  /** Binds a key by hand (`-d udp.port==6082,geneve`), whoever held it before. */
  decodeAs(tableKey: string, key: number, protocolName: string): void {
    const index = this.byName.get(protocolName);
    if (index === undefined) throw new UsageError(`no protocol is called '${protocolName}'`);
    if (!this.tables.includes(tableKey)) {
      throw new UsageError(`no table is called '${tableKey}'; there are ${this.tables.join(', ')}`);
    }
    this.bind(tableKey, key, index);
  }

  /** Number of the protocol that a key of a table stands for, -1 for none. */
  protocolAt(tableKey: string, key: number): number {
    return this.bindings.get(`${tableKey} ${key}`)?.protocol ?? -1;
  }

  private bind(name: string, key: number, protocol: number): void {
    this.bindings.set(`${name} ${key}`, { table: table(name), key, protocol });
  }

  /** Names of the tables that hold something. */
  get tables(): string[] {
    return [...new Set([...this.bindings.values()].map((binding) => tableName(binding.table)))].sort();
  }

  /** Decoder for an option, null where none knows this class, type and data length. */
  option(family: string, optionClass: number, type: number, length: number): OptionDecoder | null {
    const decoders = this.optionDecoders(family, optionClass, type);
    return decoders.find((decoder) => fitsOption(decoder, length)) ?? null;
  }

  /** Decoders of an option for all lengths of its data. */
  optionDecoders(family: string, optionClass: number, type: number): readonly OptionDecoder[] {
    return this.optionMap.get(family)?.get(optionKey(optionClass, type)) ?? NO_DECODERS;
  }

  /** Name of an option whatever its length, null where none is registered. */
  optionName(family: string, optionClass: number, type: number): string | null {
    return this.optionDecoders(family, optionClass, type)[0]?.name ?? null;
  }

  indexOf(protocolName: string): number {
    return this.byName.get(protocolName) ?? -1;
  }

  /**
   * Freezes the registry and resolves it, by table index.
   * With `application` false, protocols above transport are left out (flow accounting).
   */
  compile(application = true): (DispatchTable | undefined)[] {
    this.frozen = true;
    const tables: (DispatchTable | undefined)[] = [];
    const at = (index: number) => (tables[index] ??= new DispatchTable());
    for (const { table: index, key, protocol } of this.bindings.values()) {
      if (application || !this.protocolList[protocol].application) at(index).set(key, protocol);
    }
    this.protocolList.forEach((protocol, index) => {
      if (protocol.heuristic && (application || !protocol.application)) {
        at(table(protocol.heuristic.table)).heuristics.push(index);
      }
    });
    return tables;
  }
}

function checkOption(
  { name, class: optionClass, type, length, fields, groups }: OptionDecoder,
  owner: string,
): void {
  const wrong = (text: string) => new UsageError(`option ${name} of ${owner}: ${text}`);
  if (!(optionClass >= 0 && optionClass <= 0xffff && type >= 0 && type <= 0xff))
    throw wrong(`class ${optionClass} and type ${type} do not fit 16 and 8 bits`);
  for (const field of fields) {
    if (field.at + field.size > length)
      throw wrong(`field ${field.name} lies beyond its ${length} bytes of data`);
    if (field.size === 0)
      throw wrong(`field ${field.name} has no place: it can only be the rest of the data`);
  }
  for (const field of [groups?.size, groups?.present]) {
    if (field && !fields.includes(field))
      throw wrong(`${field.name} tells of its groups, but is none of its fields`);
  }
  const items = groups?.items ?? [];
  for (const item of items) {
    if (item.bit !== undefined && !groups?.present)
      throw wrong(`nothing tells which groups have the item with bit ${item.bit}`);
    if (item.fields.length === 0 || (itemSize(item) === 0 && item.fields.length > 1))
      throw wrong('an item of a group has fields with a place, or one that takes what is left');
    for (const field of item.fields)
      if (!field.list)
        throw wrong(`field ${field.name} is in a group, of which there are several: it must be a list`);
  }
  if (items.filter((item) => itemSize(item) === 0).length > 1)
    throw wrong('two items of a group cannot both take what is left');
  if (groups && !groups.size && groups.items.every((item) => itemSize(item) === 0))
    throw wrong('its groups have no size');
}

function optionKey(optionClass: number, type: number): number {
  return optionClass * 256 + type;
}
