/** A packet as the diagrams of its headers, each filled with what the packet holds. */
import type { Dissector } from '../core/dissector.ts';
import type { Field, FieldValue } from '../core/field.ts';
import { readOption } from '../core/option.ts';
import type { Details, OptionView } from '../core/protocol.ts';
import { presentFields } from '../core/record.ts';
import type { Registry } from '../core/registry.ts';
import { hexText, printable } from '../core/text.ts';
import type { Packet } from '../pipeline.ts';
import { bitDiagram, type Cell, cellsOf } from './bit-diagram.ts';

/** Bytes of one layer that are drawn. */
const MAX_BYTES = 512;
/** Bytes of unnamed data that are shown as hex. */
const MAX_HEX = 32;

const COLUMNS = 80;

class CellDetails implements Details {
  readonly cells: Cell[] = [];
  readonly view: DataView;
  readonly layer: number;
  readonly start: number;
  readonly body: number;
  readonly end: number;
  readonly limit: number;
  readonly goesOn: boolean;
  private readonly registry: Registry;
  private readonly optionFields: readonly Field[];

  constructor(registry: Registry, { batch, layers }: Packet, layer: number) {
    this.registry = registry;
    this.optionFields = registry.protocols[layers.protocol(layer)].detailFields ?? [];
    this.view = batch.view;
    this.layer = layer;
    this.start = layers.start(layer);
    this.body = layers.bodyOf(layer);
    this.end = layers.endOf(layer);
    this.limit = layers.limitOf(layer);
    this.goesOn = layers.goesOn(layer);
  }

  field(field: Field, base: number): void {
    if (field.size === 0) return;
    this.cells.push(...cellsOf(field, base - this.start, shownAs(field, field.read(this.view, base))));
  }

  computed<V extends FieldValue>(field: Field<V>, value: V, offset: number, length: number): void {
    const at = offset - this.start;
    if (length === 0 || at < 0) return;
    const labels = [field.label, field.name.slice(field.name.lastIndexOf('.') + 1)];
    this.cells.push({ bit: at * 8, bits: length * 8, labels, values: shownAs(field, value) });
  }

  option({ table, class: optionClass, type, offset, headerLength, dataLength }: OptionView): void {
    for (const field of this.optionFields) if (field.name.startsWith(`${table}.`)) this.field(field, offset);
    const from = offset + headerLength;
    const decoder = this.registry.option(table, optionClass, type, dataLength);
    if (decoder) {
      readOption(decoder, this.view, from, from + dataLength, this);
      return;
    }
    if (dataLength === 0) return;
    const shown = Math.min(dataLength, MAX_HEX, this.end - from);
    this.cells.push({
      bit: (from - this.start) * 8,
      bits: dataLength * 8,
      labels: ['Data'],
      values: [`${hexText(this.view, from, from + shown)}${shown < dataLength ? '...' : ''}`],
    });
  }

  open(): void {}
  close(): void {}
  remark(): void {}
}

/** A value in words, and shorter. */
function shownAs<V extends FieldValue>(field: Field<V>, value: V): string[] {
  if (typeof value === 'boolean') return [value ? '1' : '0'];
  const whole = printable(field.show(value));
  // 'Transparent Ethernet Bridging (0x6558)'
  const number = /\(([^()]+)\)$/.exec(whole)?.[1];
  return number === undefined ? [whole, printable(String(value))] : [whole, number];
}

/** Lines of at most 80 columns, all layers. */
export function packetDiagrams(packet: Packet, { registry }: Dissector): string[] {
  const { batch, index, layers } = packet;
  const frame = batch.offset[index];
  const lines: string[] = [];
  for (let i = 0; i < layers.count; i++) {
    const protocol = registry.protocols[layers.protocol(i)];
    const start = layers.start(i);
    const details = new CellDetails(registry, packet, i);
    for (const field of presentFields(protocol, start, layers.endOf(i))) details.field(field, start);
    const isCut = layers.partial && i === layers.count - 1;
    if (!isCut) protocol.details?.(details);
    const bytes = (isCut ? layers.endOf(i) : layers.bodyOf(i)) - start;
    lines.push(
      `${protocol.title}, bytes ${start - frame} to ${start - frame + bytes - 1}${isCut ? ', cut' : ''}`,
    );
    if (bytes > 0) {
      const diagram = bitDiagram(details.cells, Math.min(bytes, MAX_BYTES));
      lines.push(...diagram.lines.map((line) => `  ${line}`));
      lines.push(...diagram.untold.flatMap((text) => folded(text, COLUMNS - 2).map((line) => `  ${line}`)));
      if (bytes > MAX_BYTES) lines.push(`  ... ${bytes - MAX_BYTES} more bytes`);
    }
    lines.push('');
  }
  const last = layers.count - 1;
  const rest = last < 0 ? frame : layers.bodyOf(last);
  const end = last < 0 ? frame + batch.captured[index] : layers.endOf(last);
  if (rest < end) lines.push(`Data, ${end - rest} bytes`, '');
  return lines;
}

/** A text in lines of at most `width` characters. */
function folded(text: string, width: number): string[] {
  const lines: string[] = [];
  for (let at = 0; at < text.length; at += width) lines.push(text.slice(at, at + width));
  return lines;
}
