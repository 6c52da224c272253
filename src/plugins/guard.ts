/**
 * A plug-in whose code may throw or answer nonsense, wrapped so that it cannot do harm: `step` is shown no bytes beyond its
 * layer and what it leaves is checked; every other function that throws is noted (core/threw.ts) and answers for nothing.
 */
import type { Field, FieldValue } from '../core/field.ts';
import { type Layers, Stop } from '../core/layers.ts';
import type {
  Details,
  FlowRole,
  OptionDecoder,
  OptionView,
  Plugin,
  Protocol,
  Severity,
} from '../core/protocol.ts';
import { noteThrown, takeThrown, thrownText } from '../core/threw.ts';

const LARGEST_KEY = 0xffffffff;

export function guardPlugin(plugin: Plugin): Plugin {
  const fields = new Map<object, object>();
  // The same wrapper for the same field: groups name fields of their option.
  const guard: Guard = <V extends FieldValue>(field: Field<V>): Field<V> => {
    const known = fields.get(field) ?? guardField(field, plugin.name);
    fields.set(field, known);
    return known as Field<V>;
  };
  return {
    name: plugin.name,
    protocols: (plugin.protocols ?? []).map((protocol) => guardProtocol(protocol, plugin.name, guard)),
    options: (plugin.options ?? []).map((decoder) => guardOption(decoder, guard)),
  };
}

type Guard = <V extends FieldValue>(field: Field<V>) => Field<V>;

/** The function, and what it answers where it throws, or answers something that `fits` refuses. */
function harmless<A extends unknown[], R>(
  plugin: string,
  call: (...args: A) => R,
  otherwise: (...args: NoInfer<A>) => R,
  fits: (result: R) => boolean,
): (...args: A) => R {
  return (...args) => {
    try {
      const result = call(...args);
      if (fits(result)) return result;
      throw new TypeError(`${typeof result} is not what was asked for`);
    } catch (error) {
      noteThrown(plugin, error);
      return otherwise(...args);
    }
  };
}

const isString = (value: unknown) => typeof value === 'string';
const isBoolean = (value: unknown) => typeof value === 'boolean';
const isWord = (value: number) => Number.isInteger(value) && value >= 0 && value <= LARGEST_KEY;

function guardField(field: Field, plugin: string): Field {
  const { nameOf } = field;
  const nothing: FieldValue =
    field.type === 'bool' ? false : field.type === 'uint' || field.type === 'int' ? 0 : '';
  return {
    ...field,
    read: harmless(
      plugin,
      (view: DataView, base: number) => field.read(view, base),
      () => nothing,
      // What counts or tells lengths is a number.
      field.type === 'uint' && field.size <= 4 ? (value) => isWord(value as number) : isValue,
    ),
    show: harmless(plugin, (value: FieldValue) => field.show(value), String, isString),
    ...(nameOf && {
      nameOf: harmless(
        plugin,
        nameOf,
        () => undefined,
        (name) => name === undefined || isString(name),
      ),
    }),
  };
}

function isValue(value: unknown): boolean {
  return isString(value) || isBoolean(value) || (typeof value === 'number' && Number.isFinite(value));
}

function guardOption(decoder: OptionDecoder, guard: Guard): OptionDecoder {
  const { fields, groups, rest } = decoder;
  return {
    ...decoder,
    fields: fields.map((field) => guard(field)),
    ...(groups && {
      groups: {
        ...groups,
        ...(groups.size && { size: guard(groups.size) }),
        ...(groups.present && { present: guard(groups.present) }),
        items: groups.items.map((item) => ({ ...item, fields: item.fields.map((field) => guard(field)) })),
      },
    }),
    ...(rest && { rest: guard(rest) }),
  };
}

function guardProtocol(protocol: Protocol, plugin: string, guard: Guard): Protocol {
  const { details, info, plausible, heuristic, flow } = protocol;
  const role = flow && guardFlow(flow, protocol.name, plugin, guard);
  // `plain` is for the accounting kernel, which takes its word.
  const { plain: _, ...rest } = protocol;
  return {
    ...rest,
    fields: protocol.fields.map((field) => guard(field)),
    ...(protocol.detailFields && { detailFields: protocol.detailFields.map((field) => guard(field)) }),
    step: guardStep(protocol, role, plugin),
    ...(details && { details: (out: Details) => guardDetails(details, plugin, out) }),
    ...(info && {
      info: (view, start, layer) => {
        try {
          return String(info(upTo(view, layer.end), start, layer));
        } catch (error) {
          return thrownText(plugin, error);
        }
      },
    }),
    ...(plausible && { plausible: guardTest(plausible, plugin) }),
    ...(heuristic && { heuristic: { ...heuristic, matches: guardTest(heuristic.matches, plugin) } }),
    ...(role && { flow: role }),
  };
}

type Test = (view: DataView, start: number, end: number) => boolean;

function guardTest(test: Test, plugin: string): Test {
  return harmless(
    plugin,
    (view: DataView, start: number, end: number) => test(upTo(view, end), start, end),
    () => false,
    isBoolean,
  );
}

/** The view without the bytes from `end` on: to read them throws. */
function upTo(view: DataView, end: number): DataView {
  return new DataView(view.buffer, view.byteOffset, end);
}

function guardFlow(flow: FlowRole, name: string, plugin: string, guard: Guard): FlowRole {
  const { addresses, ports, conversation, fragment, tunnel } = flow;
  return {
    ...(addresses && { addresses: [guard(addresses[0]), guard(addresses[1])] as const }),
    ...(ports && { ports: [guard(ports[0]), guard(ports[1])] as const }),
    ...(conversation && { conversation: harmless(plugin, conversation, () => 0, isWord) }),
    ...(fragment && {
      fragment: {
        part: harmless(
          plugin,
          fragment.part,
          () => 0,
          (part) => part === 0 || part === 1 || part === 2,
        ),
        identification: harmless(plugin, fragment.identification, () => 0, isWord),
      },
    }),
    ...(tunnel && {
      tunnel: {
        name:
          typeof tunnel.name === 'string' ? tunnel.name : harmless(plugin, tunnel.name, () => name, isString),
        vni: harmless(
          plugin,
          tunnel.vni,
          () => -1,
          (vni) => vni === -1 || isWord(vni),
        ),
        ...(tunnel.options && {
          options: {
            ...tunnel.options,
            length: guard(tunnel.options.length),
            class: guard(tunnel.options.class),
            type: guard(tunnel.options.type),
          },
        }),
      },
    }),
  };
}

function guardStep(protocol: Protocol, role: FlowRole | undefined, plugin: string): Protocol['step'] {
  const { minLength } = protocol;
  return (view, start, layers) => {
    const { end, limit, quoted, count } = layers;
    try {
      const shown = upTo(view, end);
      protocol.step(shown, start, layers);
      const wrong = wrongIn(layers, start, end, limit, count);
      if (wrong !== null) throw new RangeError(`its step left ${wrong}`);
      if (role) askRole(role, shown, start);
    } catch (error) {
      layers.end = end;
      layers.limit = limit;
      layers.quoted = quoted;
      layers.count = count;
      layers.fragment = 0;
      layers.body = start + minLength;
      layers.next(0, -1);
      layers.otherKey = -1;
      layers.stop = Stop.threw;
      layers.thrown = error instanceof Noted ? error.message : thrownText(plugin, error);
    }
  };
}

/** What accounting will ask of the layer, when nobody can say any more which packet it went wrong on. */
function askRole({ conversation, fragment, tunnel }: FlowRole, view: DataView, start: number): void {
  takeThrown();
  conversation?.(view, start, view.byteLength);
  fragment?.part(view, start);
  fragment?.identification(view, start);
  tunnel?.vni(view, start);
  if (typeof tunnel?.name === 'function') tunnel.name(view, start);
  const thrown = takeThrown();
  if (thrown !== null) throw new Noted(thrown);
}

/** Something whose text is made already. */
class Noted extends Error {}

/** What the walk cannot go on with. */
function wrongIn(layers: Layers, start: number, end: number, limit: number, count: number): string | null {
  const { body, key, otherKey, stop, fragment } = layers;
  if (!(Number.isSafeInteger(body) && body >= start)) return `body at ${body}`;
  if (!(Number.isInteger(layers.end) && layers.end >= start && layers.end <= end))
    return `end at ${layers.end}`;
  if (!(Number.isInteger(layers.limit) && layers.limit >= layers.end && layers.limit <= limit))
    return `limit at ${layers.limit}`;
  if (!isKey(key) || !isKey(otherKey)) return `the keys ${key} and ${otherKey}`;
  if (!isWord(layers.table)) return `table ${layers.table}`;
  if (!(stop >= Stop.none && stop <= Stop.unknown)) return `stop ${stop}`;
  if (!(fragment === 0 || fragment === 1 || fragment === 2)) return `fragment ${fragment}`;
  if (layers.count !== count) return 'another number of layers';
  return null;
}

function isKey(key: number): boolean {
  return key === -1 || isWord(key);
}

function guardDetails(details: (out: Details) => void, plugin: string, out: Details): void {
  const guarded = new GuardedDetails(out);
  try {
    details(guarded);
  } catch (error) {
    noteThrown(plugin, error);
  }
  while (guarded.depth > 0) guarded.close();
}

/** Passes on what lies in the layer. */
class GuardedDetails implements Details {
  readonly view: DataView;
  readonly layer: number;
  readonly start: number;
  readonly body: number;
  readonly end: number;
  readonly limit: number;
  readonly goesOn: boolean;
  depth = 0;
  private readonly out: Details;

  constructor(out: Details) {
    this.out = out;
    this.layer = out.layer;
    this.start = out.start;
    this.body = out.body;
    this.end = out.end;
    this.limit = out.limit;
    this.goesOn = out.goesOn;
    this.view = upTo(out.view, out.end);
  }

  /** Of a range of bytes: that it lies in the layer. */
  private within(what: string, offset: number, length: number): void {
    if (Number.isInteger(offset) && length >= 0 && offset >= this.start && offset + length <= this.end)
      return;
    throw new RangeError(`${what} at ${offset - this.start} with ${length} bytes lies outside the layer`);
  }

  field(field: Field, base: number): void {
    this.within(field.name, base + field.at, field.size);
    this.out.field(field, base);
  }
  computed<V extends FieldValue>(field: Field<V>, value: V, offset: number, length: number): void {
    if (!isValue(value)) throw new TypeError(`${field.name} has no value that can be shown`);
    this.within(field.name, offset, length);
    this.out.computed(field, value, offset, length);
  }
  open(label: string, offset: number, length: number): void {
    this.within(label, offset, length);
    this.depth++;
    this.out.open(String(label), offset, length);
  }
  close(): void {
    if (this.depth === 0) throw new RangeError('a branch is closed that is not open');
    this.depth--;
    this.out.close();
  }
  option(option: OptionView): void {
    this.within('option', option.offset, option.headerLength + option.dataLength);
    this.out.option(option);
  }
  remark(code: string, severity: Severity, offset: number, length: number, text: string): void {
    this.within('remark', offset, length);
    this.out.remark(String(code), severity, offset, length, String(text));
  }
}
