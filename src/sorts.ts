/** What lists can be sorted by; apart from the commands so that the command line knows it without loading them. */
export const FLOW_SORTS = [
  'bytes',
  'packets',
  'first',
  'last',
  'duration',
  'vni',
  'retransmissions',
] as const;
export type FlowSort = (typeof FLOW_SORTS)[number];

export const VNI_SORTS = ['bytes', 'packets', 'flows', 'overhead', 'vni'] as const;
export type VniSort = (typeof VNI_SORTS)[number];
