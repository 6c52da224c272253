/** What can capture, the most exact first; apart from the programs so that the command line knows it without loading them. */
export const BACKENDS = ['tcpdump', 'dumpcap', 'cap'] as const;
export type BackendName = (typeof BACKENDS)[number];
