/** `tunscope flows --by FIELDS`: packets grouped by the values of any fields. */
import type { FieldValue } from '../core/field.ts';
import { printable, timeText } from '../core/text.ts';
import { UsageError } from '../errors.ts';
import type { FieldReader } from '../filter/reader.ts';
import type { KubeNames } from '../k8s/names.ts';
import type { CsvColumn } from '../output/csv.ts';
import { jsonText } from '../output/json.ts';
import { namedColumns } from '../output/named.ts';
import { type RecordList, writeCsv, writeJson, writeNdjson, writeTable } from '../output/records.ts';
import type { Column } from '../output/table.ts';
import { bytesText, countText } from '../output/units.ts';
import { TextWriter } from '../output/writer.ts';
import type { Packet, PacketSink } from '../pipeline.ts';
import type { FlowSort } from '../sorts.ts';
import { type Context, formatOf, type InputOptions, lineWidth, tableRows, useColor } from './context.ts';
import { analyse, prepare, report } from './input.ts';

export interface GroupsOptions extends InputOptions {
  readonly sort?: FlowSort;
}

export async function groups(
  by: string,
  files: string[],
  options: GroupsOptions,
  context: Context,
): Promise<number> {
  const format = formatOf(options);
  const sort = sortOf(
    options.sort ?? (format === 'table' || options.limit !== undefined ? 'bytes' : undefined),
  );
  const analysis = await prepare(files, options, { application: false, fields: fieldsOf(by) }, context);
  const accounting = new GroupAccounting(analysis.readers);
  const summary = await analyse(analysis, accounting, options, context);
  const all = accounting.records(sort);
  const shown = all.slice(0, format === 'table' ? tableRows(context, options) : options.limit);
  const list = named(accounting.list(shown), analysis.names);
  const writer = new TextWriter(context.stdout);
  if (format === 'json') await writeJson(list, summary, writer);
  else if (format === 'ndjson') await writeNdjson(list, writer);
  else if (format === 'csv') await writeCsv(list, writer);
  else {
    const style = { width: lineWidth(context), color: useColor(context, options) };
    await writeTable(list, all.length, style, writer);
  }
  const { packets } = accounting.others;
  if (packets > 0)
    context.stderr.write(
      `tunscope: only ${countText(MAXIMUM_GROUPS)} groups are kept: ${countText(packets)} packets of others are counted together\n`,
    );
  return report(analysis, summary, context, format === 'table');
}

/** The list with the names of addresses among the values. */
function named(list: RecordList<GroupRecord>, names: KubeNames | null): RecordList<GroupRecord> {
  if (names === null) return list;
  return {
    ...list,
    *texts() {
      for (const group of list.records()) {
        const values = Object.values(group.by ?? {}).map(valueText);
        yield jsonText({ ...group, names: names.within(values.join(' ')) });
      }
    },
    columns: namedColumns(list.columns, names),
  };
}

function sortOf(sort: FlowSort | undefined): GroupSort | undefined {
  if (sort !== undefined && !SORTS.includes(sort as GroupSort))
    throw new UsageError(`--sort ${sort}: groups are sorted by ${SORTS.join(', ')}`);
  return sort as GroupSort | undefined;
}

/** The names of `--by`, at commas outside of brackets; 'option:' in front of one says no more than the name does. */
function fieldsOf(by: string): string[] {
  const names = by.split(/,(?![^[]*\])/).map((name) => name.trim().replace(/^option:/, ''));
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new UsageError(`--by names '${twice}' twice`);
  return names;
}

type GroupValue = FieldValue | FieldValue[] | null;

export interface GroupRecord {
  type: 'group';
  schema: 1;
  /** Values by field name; null for all packets beyond the number of groups that are kept. */
  by: Record<string, GroupValue> | null;
  packets: number;
  /** Of each packet its length on the wire less all headers around the innermost frame. */
  bytes: number;
  outerBytes: number;
  first: string;
  last: string;
}

interface Group {
  readonly values: readonly GroupValue[] | null;
  packets: number;
  bytes: number;
  outerBytes: number;
  first: number;
  firstNanoseconds: number;
  last: number;
  lastNanoseconds: number;
}

/** Groups that are kept apart, and characters of a value: packets must not decide how much memory there is. */
export const MAXIMUM_GROUPS = 65_536;
const MAXIMUM_TEXT = 256;

const SORTS = ['packets', 'bytes', 'first', 'last'] as const;
type GroupSort = (typeof SORTS)[number];

function emptyGroup(values: readonly GroupValue[] | null): Group {
  return {
    values,
    packets: 0,
    bytes: 0,
    outerBytes: 0,
    first: Number.POSITIVE_INFINITY,
    firstNanoseconds: 0,
    last: Number.NEGATIVE_INFINITY,
    lastNanoseconds: 0,
  };
}

const shortened = (value: FieldValue) =>
  typeof value === 'string' && value.length > MAXIMUM_TEXT ? `${value.slice(0, MAXIMUM_TEXT)}…` : value;

export class GroupAccounting implements PacketSink {
  private readonly readers: readonly FieldReader[];
  private readonly groups = new Map<string, Group>();
  /** Packets of groups that came after the last one that is kept. */
  readonly others = emptyGroup(null);

  constructor(readers: readonly FieldReader[]) {
    this.readers = readers;
  }

  packet(packet: Packet): void {
    const { batch, index, outline } = packet;
    const group = this.groupOf(packet);
    const length = batch.length[index];
    group.packets++;
    group.bytes += Math.max(length - (outline.innerStart - batch.offset[index]), 0);
    group.outerBytes += length;
    const seconds = batch.seconds[index];
    const nanoseconds = batch.nanoseconds[index];
    if (seconds < group.first || (seconds === group.first && nanoseconds < group.firstNanoseconds)) {
      group.first = seconds;
      group.firstNanoseconds = nanoseconds;
    }
    if (seconds > group.last || (seconds === group.last && nanoseconds > group.lastNanoseconds)) {
      group.last = seconds;
      group.lastNanoseconds = nanoseconds;
    }
  }

  private groupOf(packet: Packet): Group {
    const values = this.readers.map(({ read }) => {
      const value = read(packet);
      return Array.isArray(value) ? value.map(shortened) : value === null ? null : shortened(value);
    });
    const key = JSON.stringify(values);
    const known = this.groups.get(key);
    if (known !== undefined) return known;
    if (this.groups.size === MAXIMUM_GROUPS) return this.others;
    const group = emptyGroup(values);
    this.groups.set(key, group);
    return group;
  }

  /** Records in the order of first packets, or largest first; those of times earliest first. */
  records(sort?: GroupSort): GroupRecord[] {
    const records = [...this.groups.values()].map((group) => this.record(group));
    if (sort === 'packets' || sort === 'bytes') records.sort((a, b) => b[sort] - a[sort]);
    else if (sort === 'first' || sort === 'last')
      records.sort((a, b) => (a[sort] < b[sort] ? -1 : a[sort] > b[sort] ? 1 : 0));
    if (this.others.packets > 0) records.push(this.record(this.others));
    return records;
  }

  private record(group: Group): GroupRecord {
    const { values, packets, bytes, outerBytes } = group;
    return {
      type: 'group',
      schema: 1,
      by: values && Object.fromEntries(this.readers.map(({ name }, i) => [name, values[i]])),
      packets,
      bytes,
      outerBytes,
      first: timeText(group.first, group.firstNanoseconds),
      last: timeText(group.last, group.lastNanoseconds),
    };
  }

  /** `shown` as a list for any format. */
  list(shown: readonly GroupRecord[]): RecordList<GroupRecord> {
    const names = this.readers.map(({ name }) => name);
    return {
      name: 'groups',
      count: shown.length,
      records: () => shown,
      columns: groupColumns(names),
      csv: groupCsv(names),
    };
  }
}

/** One line: tables take line breaks for their own. */
function valueText(value: GroupValue): string {
  return printable(Array.isArray(value) ? value.join(' ') : String(value ?? '-'));
}

function groupColumns(names: readonly string[]): Column<GroupRecord>[] {
  return [
    ...names.map((name, i) => ({
      heading: name,
      rank: 0,
      cell: ({ by }: GroupRecord) => (by === null ? (i === 0 ? 'all others' : '') : valueText(by[name])),
    })),
    { heading: 'PACKETS', right: true, rank: 0, cell: (group) => countText(group.packets) },
    { heading: 'BYTES', right: true, rank: 0, cell: (group) => bytesText(group.bytes) },
    { heading: 'OUTER', right: true, rank: 1, cell: (group) => bytesText(group.outerBytes) },
    { heading: 'FIRST', rank: 2, cell: (group) => group.first.slice(11, 23) },
    { heading: 'LAST', rank: 3, cell: (group) => group.last.slice(11, 23) },
  ];
}

function groupCsv(names: readonly string[]): CsvColumn<GroupRecord>[] {
  return [
    ...names.map((name) => ({
      name,
      value: ({ by }: GroupRecord) => {
        const value = by?.[name];
        return Array.isArray(value) ? value.join(' ') : value;
      },
    })),
    { name: 'packets', value: (group) => group.packets },
    { name: 'bytes', value: (group) => group.bytes },
    { name: 'outer_bytes', value: (group) => group.outerBytes },
    { name: 'first', value: (group) => group.first },
    { name: 'last', value: (group) => group.last },
  ];
}
