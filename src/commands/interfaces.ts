/** `tunscope interfaces`: what can be captured on. */
import { type InterfaceRecord, listDevices } from '../live/devices.ts';
import type { CsvColumn } from '../output/csv.ts';
import type { Column } from '../output/table.ts';
import type { Context } from './context.ts';
import { type ListOptions, list } from './registered.ts';

export interface InterfacesOptions extends ListOptions {
  readonly netns?: string;
}

const COLUMNS: readonly Column<InterfaceRecord>[] = [
  { heading: 'NAME', rank: 0, cell: ({ name }) => name },
  {
    heading: 'STATE',
    rank: 0,
    cell: ({ flags }) => (flags.includes('up') ? flags : ['down', ...flags]).join(' '),
  },
  { heading: 'KIND', rank: 1, cell: ({ kind }) => kind ?? '' },
  { heading: 'VNI', right: true, rank: 1, cell: ({ vni }) => (vni === null ? '' : String(vni)) },
  { heading: 'MTU', right: true, rank: 2, cell: ({ mtu }) => (mtu === null ? '' : String(mtu)) },
  { heading: 'ADDRESSES', rank: 0, cell: ({ addresses }) => addresses.join('\n') },
  { heading: 'MAC', rank: 4, cell: ({ mac }) => mac ?? '' },
  { heading: 'DESCRIPTION', rank: 3, cell: ({ description }) => description ?? '' },
];

const CSV: readonly CsvColumn<InterfaceRecord>[] = [
  { name: 'name', value: ({ name }) => name },
  { name: 'flags', value: ({ flags }) => flags.join(' ') },
  { name: 'kind', value: ({ kind }) => kind },
  { name: 'vni', value: ({ vni }) => vni },
  { name: 'mtu', value: ({ mtu }) => mtu },
  { name: 'mac', value: ({ mac }) => mac },
  { name: 'addresses', value: ({ addresses }) => addresses.join(' ') },
  { name: 'description', value: ({ description }) => description },
];

export async function interfaces(options: InterfacesOptions, context: Context): Promise<number> {
  const devices = await listDevices(options.netns, context.env);
  return list({ name: 'interfaces', columns: COLUMNS, csv: CSV }, devices, options, context);
}
