/** The commands that are timed, and the table that is made of their times. */
import { join } from 'node:path';
import { isInstalled, output } from './measure.mjs';

/** Packets that tshark writes out field by field: it takes half a minute for these, and more for each that follows. */
const EK_PACKETS = 100_000;

/** Name to command line and, for what may not be there, the program. `tiny` is a capture of 40 packets. */
export function commandsOf({ own, reference, captures: { S, M, F, L, tiny } }) {
  const ours = (...args) => ({ run: [...own, ...args] });
  const peer = (program, ...args) => ({ run: [program, ...args], missing: !isInstalled(program) && program });
  const yardstick = (file) => ({ run: [reference, file], missing: reference === null && 'the C reference' });
  const inBench = (...path) => join(import.meta.dirname, ...path);
  return new Map(
    Object.entries({
      'flows S': ours('flows', '--ndjson', S),
      'flows S --workers 1': ours('flows', '--ndjson', '--workers', '1', S),
      'flows M': ours('flows', '--ndjson', M),
      'flows M --workers 1': ours('flows', '--ndjson', '--workers', '1', M),
      'flows F': ours('flows', '--ndjson', F),
      'flows F --limit 1': ours('flows', '--ndjson', '--limit', '1', F),
      'flows L': ours('flows', '--ndjson', L),
      'vni M': ours('vni', '--ndjson', M),
      'packets --ndjson S': ours('packets', '--ndjson', S),
      'packets S': ours('packets', S),
      'flows, 40 packets': ours('flows', tiny),
      '--version': ours('--version'),
      'node -e 0': { run: [process.execPath, '-e', '0'] },
      'tshark -z conv S': peer('tshark', '-n', '-q', '-z', 'conv,tcp', '-z', 'conv,udp', '-r', S),
      'nfpcapd S': peer('nfpcapd', '-r', S, '-l', output),
      'softflowd S': peer('softflowd', '-r', S),
      'argus S': peer('argus', '-r', S, '-w', join(output, 'argus')),
      'tcpstat S': peer('tcpstat', '-r', S, '-1'),
      'pcap-parser S': { run: [process.execPath, inBench('peers', 'pcap-parser.mjs'), S] },
      'tcpdump -nn S': peer('tcpdump', '-nn', '-r', S),
      'tshark -T ek S': peer('tshark', '-n', '-T', 'ek', '-c', String(EK_PACKETS), '-r', S),
      'tcpdump -w /dev/null M': peer('tcpdump', '-r', M, '-w', '/dev/null'),
      'capinfos -c M': peer('capinfos', '-c', M),
      'reference S': yardstick(S),
      'reference M': yardstick(M),
      'reference F': yardstick(F),
    }),
  );
}

const seconds = (run) => run.seconds;
const bytes = (run) => run.bytes;

/** How many times longer the peer takes. */
const faster = (job, against, target, options = {}) => ({
  job,
  against,
  target,
  atLeast: true,
  uses: [job, against],
  value: (own, peer) => seconds(peer) / seconds(own),
  ...options,
});

/** How many times the peer's time, or memory, it takes. */
const within = (job, against, target, { what = seconds, ...options } = {}) => ({
  job,
  against,
  target,
  uses: [job, against],
  value: (own, peer) => what(own) / what(peer),
  ...options,
});

/** Processes start alike: what the smallest capture takes is no work on packets. */
const START = 'flows, 40 packets';
const growth = (workers) => ({
  job: `growth${workers}`,
  against: 'M by S, per packet',
  target: 1.15,
  uses: [`flows M${workers}`, `flows S${workers}`, START],
  value: (m, s, start, { M, S }) =>
    (seconds(m) - seconds(start)) / M.packets / ((seconds(s) - seconds(start)) / S.packets),
});
const perFlow = (f, start, { F }) => (bytes(f) - bytes(start)) / F.flows;

/**
 * Rows of the table. `value` gets the medians of what `uses` names, and the captures' sums; a row without a target is there
 * to be seen.
 */
export const ROWS = [
  faster('flows S', 'tshark -z conv S', 80),
  within('flows S', 'tshark -z conv S', 1 / 8, { what: bytes, of: 'memory' }),
  faster('flows S', 'nfpcapd S', 1.5),
  faster('flows S', 'softflowd S', 2),
  faster('flows S', 'argus S', 2.5),
  faster('flows S', 'tcpstat S', null),
  faster('flows S', 'pcap-parser S', null),
  within('flows S', 'reference S', null),
  faster('flows M', 'tcpdump -w /dev/null M', 1),
  within('flows M', 'reference M', 2),
  within('flows M --workers 1', 'reference M', 3),
  within('flows F', 'reference F', 4),
  within('flows F --limit 1', 'reference F', null),
  { job: 'flows F', against: 'bytes per flow', target: 170, uses: ['flows F', START], value: perFlow },
  within('vni M', 'capinfos -c M', 1.5),
  faster('packets --ndjson S', 'tshark -T ek S', 25, {
    of: `per packet, its first ${EK_PACKETS}`,
    value: (own, peer, { S }) => seconds(peer) / Math.min(EK_PACKETS, S.packets) / (seconds(own) / S.packets),
  }),
  faster('packets S', 'tcpdump -nn S', 1),
  growth(''),
  growth(' --workers 1'),
  {
    job: 'memory',
    against: 'M by S, flows taken off',
    target: 1.1,
    uses: ['flows M', 'flows S', 'flows F', START],
    value: (m, s, f, start, counts) => {
      const { M, S } = counts;
      const each = perFlow(f, start, counts);
      return (bytes(m) - M.flows * each) / (bytes(s) - S.flows * each);
    },
  },
  within('flows L', 'flows S', 1.1, { what: bytes, of: 'memory: more packets of the same flows' }),
  within('--version', 'node -e 0', 1.25),
  within('flows, 40 packets', 'node -e 0', 1.6),
];
