/** A walked packet as an indented field tree, the way Wireshark shows one. */
import { diagnose } from './diagnose.ts';
import type { Dissector } from './dissector.ts';
import { type Field, type FieldValue, fieldLine } from './field.ts';
import type { Layers } from './layers.ts';
import { readOption } from './option.ts';
import type { Details, OptionView, Severity } from './protocol.ts';
import { optionRemark, presentFields } from './record.ts';
import type { Registry } from './registry.ts';
import { hexNumber, hexText, printable } from './text.ts';
import { takeThrown } from './threw.ts';

/** A line of the tree and the bytes it stands for (absolute offsets). */
export interface TreeLine {
  readonly depth: number;
  readonly text: string;
  readonly offset: number;
  readonly length: number;
  /** Set on remarks. */
  readonly severity: Severity | null;
}

class TreeDetails implements Details {
  readonly lines: TreeLine[] = [];
  readonly registry: Registry;
  readonly view: DataView;
  layer = 0;
  start = 0;
  body = 0;
  end = 0;
  limit = 0;
  goesOn = false;
  private depth = 0;
  /** The layer is of a packet quoted by an ICMP error: a copy, cut by intent, whose lengths cannot agree. */
  quoted = false;

  constructor(registry: Registry, view: DataView) {
    this.registry = registry;
    this.view = view;
  }

  begin(layers: Layers, i: number): void {
    this.layer = i;
    this.start = layers.start(i);
    this.body = layers.bodyOf(i);
    this.end = layers.endOf(i);
    this.limit = layers.limitOf(i);
    this.goesOn = layers.goesOn(i);
    this.depth = 0;
    const protocol = this.registry.protocols[layers.protocol(i)];
    this.quoted = layers.quoted >= 0 && i >= layers.quoted;
    this.open(`${protocol.title}${this.quoted ? ' (quoted)' : ''}`, this.start, this.body - this.start);
  }

  private line(text: string, offset: number, length: number, severity: Severity | null = null): void {
    this.lines.push({ depth: this.depth, text: printable(text), offset, length, severity });
  }
  field(field: Field, base: number): void {
    this.line(fieldLine(field, this.view, base), base + field.at, field.size);
  }
  computed<V extends FieldValue>(field: Field<V>, value: V, offset: number, length: number): void {
    this.line(`${field.label}: ${field.show(value)}`, offset, length);
  }
  open(label: string, offset: number, length: number): void {
    this.line(label, offset, length);
    this.depth++;
  }
  close(): void {
    this.depth--;
  }
  option(option: OptionView): void {
    const { offset, headerLength, dataLength } = option;
    const decoder = this.registry.option(option.table, option.class, option.type, dataLength);
    const title = decoder?.title ?? 'Option';
    const critical = option.critical ? ', critical' : '';
    const vendor = option.vendor === null ? '' : ` ${option.vendor},`;
    this.open(
      `${title}:${vendor} class ${hexNumber(option.class, 4)} type ${hexNumber(option.type, 2)}${critical} (${dataLength} bytes)`,
      offset,
      headerLength + dataLength,
    );
    const from = offset + headerLength;
    if (decoder) readOption(decoder, this.view, from, from + dataLength, this);
    else if (dataLength > 0)
      this.line(`Data: ${hexText(this.view, from, from + dataLength)}`, from, dataLength);
    const remark = optionRemark(this.registry, option);
    if (remark) this.remark(remark.code, 'warning', offset, headerLength + dataLength, remark.text);
    this.close();
  }
  remark(code: string, severity: Severity, offset: number, length: number, text: string): void {
    if (this.quoted) return;
    this.line(`[${severity}: ${text} (${code})]`, offset, length, severity);
  }
}

/** Lines of the tree for the packet at `frameStart` that was walked into `layers`. */
export function packetTree(
  dissector: Dissector,
  view: DataView,
  frameStart: number,
  layers: Layers,
): TreeLine[] {
  const details = new TreeDetails(dissector.registry, view);
  takeThrown(); // of packets that were not shown
  for (let i = 0; i < layers.count; i++) {
    const protocol = dissector.registry.protocols[layers.protocol(i)];
    details.begin(layers, i);
    for (const field of presentFields(protocol, layers.start(i), layers.endOf(i)))
      details.field(field, layers.start(i));
    if (!(layers.partial && i === layers.count - 1)) protocol.details?.(details);
    const thrown = takeThrown();
    if (thrown !== null)
      details.remark('plugin.threw', 'error', details.start, details.body - details.start, thrown);
    details.close();
  }
  details.quoted = false;
  const stop = diagnose(dissector, layers, frameStart);
  if (stop) details.remark(stop.code, stop.severity, frameStart + stop.offset, stop.length, stop.text);
  const last = layers.count - 1;
  if (last >= 0 && layers.bodyOf(last) < layers.endOf(last)) {
    const from = layers.bodyOf(last);
    const length = layers.endOf(last) - from;
    details.lines.push({ depth: 0, text: `Data (${length} bytes)`, offset: from, length, severity: null });
  }
  return details.lines;
}
