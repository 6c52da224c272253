/**
 * Writes goldens.json: the packets that tshark finds with each filter of filters.txt in captures of the shared corpus.
 *
 *   TUNSCOPE_SHARED=DIRECTORY node test/filter/goldens.mjs
 *
 * tshark starts once a capture, not once a filter: a script hands all filters to its engine, each as a listener's.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

const shared = process.env.TUNSCOPE_SHARED;
if (!shared) throw new Error('TUNSCOPE_SHARED is not set: it names the directory with captures/third-party');
const root = join(shared, 'captures');
const here = import.meta.dirname;

const version = /\d+\.\d+\.\d+/.exec(spawnSync('tshark', ['--version'], { encoding: 'utf8' }).stdout)[0];
const filters = readFileSync(join(here, 'filters.txt'), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('# '));

/** Captures of protocols that are not dissected here, and those that say what others of the same making say. */
const LEFT_OUT = [
  /gtp|teredo|capwap|nhrp|wccp|aruba|bigtcp|various_gre/i,
  /ndpi__(false_positives|http_origin|rtmp|tls_change_cipher)/,
  /lab.(craft_fmt|craft_\w*\.pcapng|\w*_multi\.|ambientall|ambient_(n|z1)|geneve_rich_n2|\w*_any_sll\.)/,
];
/** tshark gives a protocol other bytes where there are listeners. */
const ONE_BY_ONE = /\blen\((eth|ip|tcp|udp|frame)\)/;
const captures = ['third-party/overlay', 'lab']
  .flatMap((part) =>
    readdirSync(join(root, part), { recursive: true, encoding: 'utf8' }).map((n) => join(root, part, n)),
  )
  .filter((file) => /\.pcap(ng)?$/.test(file) && !LEFT_OUT.some((pattern) => pattern.test(file)))
  .sort();

/** "1-3,7" */
function ranges(numbers) {
  const parts = [];
  for (const number of numbers) {
    const last = parts.at(-1);
    if (last && last[1] === number - 1) last[1] = number;
    else parts.push([number, number]);
  }
  return parts.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(',');
}

const directory = mkdtempSync(join(tmpdir(), 'tunscope-goldens-'));
const script = join(directory, 'filters.lua');
writeFileSync(
  script,
  `local filters = {${filters.map((filter) => JSON.stringify(filter).replaceAll('\\\\', '\\\\')).join(', ')}}
for index, filter in ipairs(filters) do
  local tap = Listener.new('frame', filter)
  local numbers = {}
  function tap.packet(pinfo) numbers[#numbers + 1] = pinfo.number end
  function tap.draw() print('MATCHES', index - 1, table.concat(numbers, ' ')) end
  function tap.reset() end
end
`,
);

const settings = ['ip.defragment', 'ipv6.defragment', 'tcp.desegment_tcp_streams', 'nameres.network_name'];
function tshark(capture, options) {
  const { stdout, stderr } = spawnSync(
    'tshark',
    [
      ...['-r', capture, '-d', 'udp.port==8472,vxlan', ...options],
      ...settings.flatMap((setting) => ['-o', `${setting}:FALSE`]),
    ],
    { encoding: 'utf8', maxBuffer: 2 ** 28, env: { ...process.env, TZ: 'UTC' } },
  );
  return { lines: stdout.split('\n').filter((line) => line !== ''), stderr };
}

const result = Object.fromEntries(filters.map((filter) => [filter, {}]));
for (const [index, capture] of captures.entries()) {
  const { lines, stderr } = tshark(capture, ['-q', '-X', `lua_script:${script}`]);
  const answers = lines.map((line) => line.split('\t')).filter(([mark]) => mark === 'MATCHES');
  if (answers.length !== filters.length)
    throw new Error(`${capture}: tshark answered ${answers.length} filters: ${stderr}`);
  for (const [, number, text] of answers) {
    const filter = filters[number];
    const list = ONE_BY_ONE.test(filter)
      ? tshark(capture, ['-Y', filter, '-T', 'fields', '-e', 'frame.number']).lines
      : text.split(' ').filter((part) => part !== '');
    if (list.length > 0) result[filter][index] = ranges(list.map(Number));
  }
}
rmSync(directory, { recursive: true });

const names = captures.map((capture) => relative(root, capture));
const lines = filters.map((filter) => `${JSON.stringify(filter)}: ${JSON.stringify(result[filter])}`);
writeFileSync(
  join(here, 'goldens.json'),
  `{"tshark": "${version}", "captures": ${JSON.stringify(names)}, "filters": {\n${lines.join(',\n')}\n}}\n`,
);
process.stdout.write(`${filters.length} filters, ${names.length} captures\n`);
