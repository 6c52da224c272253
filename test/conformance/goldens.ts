/** What tshark says of a capture: read from a golden, or asked on the spot. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { gunzipSync } from 'node:zlib';

/** One frame's columns by tshark's field name; a field that occurs several times is joined by commas. */
export type Row = ReadonlyMap<string, string>;

/** A capture, and tshark's account of it. */
export interface Case {
  /** Path from the corpus' root, and the decode-as rule where there is one: the name that `differences.ts` uses. */
  readonly name: string;
  readonly path: string;
  readonly decodeAs: readonly string[];
  readonly rows: () => Promise<Row[]>;
}

/** `text` as rows. The first line names the columns. */
export function parseRows(text: string): Row[] {
  const lines = text.split('\n').filter((line) => line !== '');
  const names = (lines.shift() ?? '').split('\t');
  return lines.map((line) => {
    const cells = line.split('\t');
    return new Map(names.map((name, i) => [name, cells[i] ?? '']));
  });
}

function readGolden(folder: string, name: string): Row[] | null {
  const plain = join(folder, `${name}.tsv`);
  if (existsSync(plain)) return parseRows(readFileSync(plain, 'utf8'));
  const compressed = `${plain}.gz`;
  return existsSync(compressed) ? parseRows(gunzipSync(readFileSync(compressed)).toString()) : null;
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .sort();
}

/**
 * The goldens of one capture. Datagrams and streams are not put together from their pieces by `packets`, so the run
 * without that is the one to compare with; neither is 8472, which is VXLAN here by default, a matter of `-d`.
 */
function goldenOf(folder: string): Row[] {
  return (
    readGolden(folder, 'frames-8472') ??
    readGolden(folder, 'frames-nodefrag') ??
    readGolden(folder, 'frames') ??
    []
  );
}

/** Cases of `root`/third-party/{overlay,formats}, each with its golden. */
export function thirdPartyCases(root: string): Case[] {
  const corpus = join(root, 'third-party');
  const cases: Case[] = [];
  for (const path of ['overlay', 'formats'].flatMap((part) => filesBelow(join(corpus, part)))) {
    const name = relative(root, path);
    const folder = join(corpus, 'golden', relative(corpus, path));
    cases.push({ name, path, decodeAs: [], rows: async () => goldenOf(folder) });
    const variants: readonly (readonly [string, string])[] = [
      ['frames-65530', 'udp.port==65530,vxlan'],
      ['frames-6080-as-geneve', 'udp.port==6080,geneve'],
    ];
    for (const [golden, rule] of variants) {
      if (readGolden(folder, golden) === null) continue;
      const rows = async () => readGolden(folder, golden) ?? [];
      cases.push({ name: `${name} -d ${rule}`, path, decodeAs: [rule], rows });
    }
  }
  return cases;
}

/** The tshark on PATH, null where there is none. */
export function tsharkVersion(): string | null {
  const { status, stdout } = spawnSync('tshark', ['--version'], { encoding: 'utf8' });
  return status === 0 ? (/^TShark \(Wireshark\) [\d.]*\d/.exec(stdout)?.[0] ?? null) : null;
}

function askTshark(path: string, columns: readonly string[], decodeAs: readonly string[]): Promise<Row[]> {
  const settings = [
    'ip.defragment:FALSE',
    'ipv6.defragment:FALSE',
    'tcp.desegment_tcp_streams:FALSE',
    'nameres.network_name:FALSE',
  ];
  const child = spawn(
    'tshark',
    [
      ...['-r', path, '-T', 'fields', '-E', 'header=y', '-E', 'occurrence=a', '-E', 'separator=/t'],
      ...settings.flatMap((setting) => ['-o', setting]),
      ...['udp.port==8472,vxlan', ...decodeAs].flatMap((rule) => ['-d', rule]),
      ...columns.flatMap((column) => ['-e', column]),
    ],
    // A damaged capture is no failure of tshark: it prints the frames before the damage and exits with 2.
    { stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, TZ: 'UTC' } },
  );
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', () => resolve(parseRows(Buffer.concat(chunks).toString())));
  });
}

/** Captures without goldens, which tshark is asked about; `columns` as it names them. */
export function askedCases(root: string, columns: readonly string[]): Case[] {
  const cases: Case[] = [];
  for (const part of ['lab', 'vni-collision', 'vectors', 'ambient-emulated']) {
    const folder = join(root, part);
    if (!existsSync(folder)) continue;
    for (const path of filesBelow(folder).filter((file) => /\.pcap(ng)?$/.test(file))) {
      const name = relative(root, path);
      const add = (decodeAs: readonly string[]) =>
        cases.push({
          name: decodeAs.length > 0 ? `${name} -d ${decodeAs.join(' -d ')}` : name,
          path,
          decodeAs,
          rows: () => askTshark(path, columns, decodeAs),
        });
      add([]);
      if (name.includes('port6082')) add(['udp.port==6082,geneve']);
    }
  }
  return cases;
}
