/** What is written, read by tshark: without complaint, and the same packets as in the capture that it was written from. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { openCapture } from '../../src/capture/open.ts';
import { CaptureError } from '../../src/errors.ts';
import { openBytes } from '../capture/bytes.ts';
import { tsharkVersion } from '../conformance/goldens.ts';
import { captures, sample } from '../samples.ts';
import { contents, decap, rewrite } from './rewrite.ts';

const tshark = tsharkVersion()?.startsWith('TShark (Wireshark) 4.') === true;
const shared = process.env.TUNSCOPE_SHARED;
const root = path.join(shared ?? '.', 'captures');
const scratch = mkdtempSync(path.join(tmpdir(), 'tunscope-tshark-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const FIELDS = ['frame.number', 'frame.time_epoch', 'frame.len', 'frame.cap_len', 'frame.protocols'];
const ALL_FIELDS = [...FIELDS, 'frame.interface_name', 'frame.interface_description', 'frame.comment'];

/** Tunnels as tshark names them, where it takes the packet for one. */
const TUNNELS = /:(geneve|vxlan|gre|etherip|erspan|ip:ip|ip:ipv6|ipv6:ip|ipv6:ipv6)\b/;
const HOLDERS = [
  'eth',
  'ip',
  'ipv6',
  'arp',
  'tcp',
  'udp',
  'icmp',
  'icmpv6',
  'sctp',
  'geneve',
  'vxlan',
  'gre',
];

/** Rows of fields, without what it says of being run as root. */
function ask(file: string, fields: readonly string[]) {
  const settings = ['ip.defragment:FALSE', 'ipv6.defragment:FALSE'].flatMap((setting) => ['-o', setting]);
  // Secrets in a capture are not written: what they open in the original stays closed.
  const args = [
    '-n',
    ...settings,
    '--disable-protocol',
    'tls',
    '-r',
    file,
    '-T',
    'fields',
    ...fields.flatMap((field) => ['-e', field]),
  ];
  const { status, stdout, stderr } = spawnSync('tshark', args, {
    encoding: 'utf8',
    env: { ...process.env, TZ: 'UTC' },
    maxBuffer: 1 << 28,
  });
  const rows = stdout.split('\n').filter((line) => line !== '');
  return { status, rows, complaints: stderr.replace(/^Running as user .*\n/m, '') };
}

function save(name: string, bytes: Uint8Array): string {
  const file = path.join(scratch, name);
  writeFileSync(file, bytes);
  return file;
}

/** What tshark says of the capture as it is written. */
async function askWritten(file: string, fields: readonly string[]) {
  return ask(save('written.pcapng', await rewrite(await openCapture(file))), fields);
}

describe.skipIf(!tshark)('tshark (where version 4 is installed)', () => {
  it.each(captures)('sees the packets of %s', async (name) => {
    const fields = fieldsOf(name);
    const { rows } = ask(sample(name), fields);
    expect(await askWritten(sample(name), fields)).toEqual({ status: 0, rows, complaints: '' });
  });

  it.each(captures)('sees the frames inside the tunnels of %s', async (name) => {
    const { bytes } = await decap(await openCapture(sample(name)));
    const { packets } = await contents(await openBytes(bytes, 1 << 16));
    const inner = ask(save('decap.pcapng', bytes), ['frame.time_epoch', 'frame.protocols']);
    expect([inner.status, inner.complaints, inner.rows.length]).toEqual([0, '', packets.length]);
    const outer = ask(sample(name), ['frame.time_epoch', 'frame.protocols']).rows.map(columns);
    for (const [time, protocols] of inner.rows.map(columns)) {
      while (outer.length > 0 && outer[0][0] !== time) outer.shift();
      const [, whole] = outer.shift() ?? [];
      // Without what is around them, payloads may look like something else: what holds them is compared.
      const holders = (text: string) =>
        text
          .split(':')
          .filter((protocol) => HOLDERS.includes(protocol))
          .join(':');
      if (TUNNELS.test(whole)) expect(holders(whole)).toMatch(new RegExp(`:${holders(protocols)}$`));
    }
  });

  it.skipIf(shared === undefined).each(shared === undefined ? [] : overlayCaptures())(
    'sees what its golden has of %s (set TUNSCOPE_SHARED)',
    async (name) => {
      const written = await askWritten(path.join(root, 'third-party', name), FIELDS);
      expect([written.status, written.complaints]).toEqual([0, '']);
      const known = goldenRows(name);
      // Fields of the whole dissection differ where tshark's settings for the goldens did.
      expect(written.rows.map(packetColumns)).toEqual(known.map(packetColumns));
    },
  );

  it.skipIf(shared === undefined).each(shared === undefined ? [] : labCaptures())(
    'sees the packets of %s (set TUNSCOPE_SHARED)',
    async (name) => {
      const { rows } = ask(path.join(root, name), ALL_FIELDS);
      const written = await askWritten(path.join(root, name), ALL_FIELDS);
      expect(written).toEqual({ status: 0, rows, complaints: '' });
    },
  );
});

/** Of pcap, which knows no interfaces, tshark leaves their fields out; of pcapng it makes something up. */
const fieldsOf = (name: string) => (name.endsWith('.pcap') ? [...FIELDS, 'frame.comment'] : ALL_FIELDS);

const columns = (row: string) => row.split('\t');
const packetColumns = (row: string) => columns(row).slice(0, 4);

function overlayCaptures(): string[] {
  const corpus = path.join(root, 'third-party');
  return filesBelow(path.join(corpus, 'overlay'))
    .map((file) => path.relative(corpus, file))
    .filter((file) => existsSync(path.join(corpus, 'golden', file)));
}

function labCaptures(): string[] {
  return ['lab', 'ambient-emulated', 'vni-collision', 'vectors']
    .flatMap((folder) => filesBelow(path.join(root, folder)))
    .filter((file) => file.endsWith('.pcapng') && !TSHARK_DIFFERS.some(([name]) => file.endsWith(name)))
    .map((file) => path.relative(root, file));
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
}

function goldenRows(name: string): string[] {
  const file = path.join(root, 'third-party', 'golden', name, 'frames.tsv');
  const bytes = existsSync(file) ? readFileSync(file) : gunzipSync(readFileSync(`${file}.gz`));
  return bytes.toString('latin1').split('\n').slice(1, -1);
}

const capinfos = tshark && spawnSync('capinfos', ['--version']).status === 0;

/** Captures of which tshark does not see what is there. */
const TSHARK_DIFFERS: readonly (readonly [string, string])[] = [
  [
    'craft_fmt_blocks.pcapng',
    'takes a custom block for a packet, and a simple packet for one without a time',
  ],
  ['craft_fmt_mixed_sections.pcapng', 'gives the second section the names of the interfaces of the first'],
];

describe.skipIf(shared === undefined || !capinfos)('capinfos (set TUNSCOPE_SHARED)', () => {
  it('counts the packets of every capture of the corpus as it is written', async () => {
    const counts = new Map<string, number>();
    const names: string[] = [];
    for (const file of filesBelow(path.join(root, 'third-party'))) {
      if (file.includes('/golden/')) continue;
      try {
        const bytes = await rewrite(await openCapture(file));
        const { packets } = await contents(await openBytes(bytes, 1 << 20));
        const name = `${names.length}.pcapng`;
        counts.set(save(name, bytes), packets.length);
        names.push(path.relative(root, file));
      } catch (error) {
        if (!(error instanceof CaptureError)) throw error;
      }
    }
    expect(names.length).toBeGreaterThan(700);
    const files = [...counts.keys()];
    const { stdout, stderr } = spawnSync('capinfos', ['-T', '-r', '-c', ...files], {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    const seen = new Map(
      stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => columns(line) as [string, string]),
    );
    const wrong = names.filter((_, i) => seen.get(files[i]) !== String(counts.get(files[i])));
    // capinfos remarks each packet of a link type that it has no dissector for, and counts it.
    const complaints = stderr.split('\n').filter((line) => !/Unknown packet encapsulation|^$/.test(line));
    expect({ wrong, complaints }).toEqual({ wrong: [], complaints: [] });
  });
});
