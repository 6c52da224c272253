/** Names and keys of protocols and option decoders, resolved once into flat tables. */
import { UsageError } from '../errors.ts';
import { type OptionDecoder, type Plugin, type Protocol, table, tableName } from './protocol.ts';

/** Largest key kept in a flat array; larger ones (32-bit identifiers) go to a map. */
const DENSE = 0x10000;

/** Number of a protocol by key; -1 where there is none. */
export class DispatchTable {
  private readonly dense = new Int16Array(DENSE).fill(-1);
  private readonly sparse = new Map<number, number>();
  /** Protocols found by their shape, tried in order where the key finds none. */
  readonly heuristics: number[] = [];

  get(key: number): number {
    return key < DENSE ? this.dense[key] : (this.sparse.get(key) ?? -1);
  }
  set(key: number, protocol: number): void {
    if (key < DENSE) this.dense[key] = protocol;
    else this.sparse.set(key, protocol);
  }
}

/** Takes registrations, then `compile`s; frozen from then on. */
export class Registry {
  private readonly protocolList: Protocol[] = [];
  private readonly byName = new Map<string, number>();
  private readonly owners = new Map<string, string>();
  private readonly bindings = new Map<string, { table: number; key: number; protocol: number }>();
  private readonly optionMap = new Map<string, Map<number, OptionDecoder>>();
  private frozen = false;

  get protocols(): readonly Protocol[] {
    return this.protocolList;
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
    this.byName.set(protocol.name, index);
    for (const [name, key] of protocol.on) {
      this.claim(`${name} ${key}`, `${protocol.name} (${owner})`);
      this.bind(name, key, index);
    }
  }

  private addOption(decoder: OptionDecoder, owner: string): void {
    const key = optionKey(decoder.class, decoder.type);
    this.claim(
      `${decoder.table} class 0x${decoder.class.toString(16)} type 0x${decoder.type.toString(16)} length ${decoder.length}`,
      `${decoder.name} (${owner})`,
    );
    for (const field of decoder.fields) {
      if (field.at + field.size > decoder.length) {
        throw new UsageError(
          `field ${field.name} of ${owner} lies beyond the ${decoder.length} bytes of option ${decoder.name}`,
        );
      }
    }
    let family = this.optionMap.get(decoder.table);
    if (!family) {
      family = new Map();
      this.optionMap.set(decoder.table, family);
    }
    family.set(key * 256 + decoder.length, decoder);
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

  private bind(name: string, key: number, protocol: number): void {
    this.bindings.set(`${name} ${key}`, { table: table(name), key, protocol });
  }

  /** Names of the tables that hold something. */
  get tables(): string[] {
    return [...new Set([...this.bindings.values()].map((binding) => tableName(binding.table)))].sort();
  }

  /** Decoder for an option, null where none knows this class, type and data length. */
  option(family: string, optionClass: number, type: number, length: number): OptionDecoder | null {
    return this.optionMap.get(family)?.get(optionKey(optionClass, type) * 256 + length) ?? null;
  }

  /** Data lengths for which decoders of this option are registered. */
  optionLengths(family: string, optionClass: number, type: number): number[] {
    const wanted = optionKey(optionClass, type);
    const keys = [...(this.optionMap.get(family)?.keys() ?? [])];
    return keys.filter((key) => Math.floor(key / 256) === wanted).map((key) => key % 256);
  }

  /** Name of an option whatever its length, null where none is registered. */
  optionName(family: string, optionClass: number, type: number): string | null {
    const [length] = this.optionLengths(family, optionClass, type);
    return length === undefined ? null : this.option(family, optionClass, type, length)!.name;
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

function optionKey(optionClass: number, type: number): number {
  return optionClass * 256 + type;
}
