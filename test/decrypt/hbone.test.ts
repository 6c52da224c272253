/** HBONE connections of the sample, in order and not; and those of the lab, which are not part of the project. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { PacketBatch } from '../../src/capture/batch.ts';
import { openCapture } from '../../src/capture/open.ts';
import { Layers } from '../../src/core/layers.ts';
import { Outline } from '../../src/core/outline.ts';
import { HboneReader } from '../../src/decrypt/hbone.ts';
import type { HboneConnection } from '../../src/decrypt/hbone-record.ts';
import { KeyLog } from '../../src/decrypt/key-log.ts';
import { run } from '../../src/pipeline.ts';
import { readAll } from '../capture/bytes.ts';
import { dissector, eth, frame, roles, tcp, vxlan } from '../flow/frames.ts';
import { sample } from '../samples.ts';

async function readFile(file: string, keyLog?: KeyLog): Promise<HboneConnection[]> {
  const capture = await openCapture(file);
  const reader = new HboneReader(dissector, roles, { keyLog: keyLog ?? new KeyLog(capture.secrets) });
  await run(capture, dissector, roles, reader);
  return reader.records();
}

/** Ethernet frames in the order given, numbered from 1. */
function readFrames(frames: readonly Uint8Array[], keyLog = new KeyLog(), ports?: readonly number[]) {
  const reader = new HboneReader(dissector, roles, { keyLog, ...(ports ? { ports } : {}) });
  const layers = new Layers();
  const outline = new Outline();
  const ethernet = dissector.root(1);
  const batch = new PacketBatch(Buffer.concat(frames), frames.length);
  let offset = 0;
  for (const [index, data] of frames.entries()) {
    batch.offset[index] = offset;
    batch.captured[index] = data.length;
    batch.length[index] = data.length;
    dissector.walk(batch.view, offset, data.length, data.length, ethernet, layers);
    outline.read(layers, roles, offset);
    const from = {
      file: 'test',
      linkType: 1,
      name: null,
      description: null,
      snapLength: 0,
      littleEndian: true,
    };
    reader.packet({ batch, index, layers, outline, interface: { ...from, statistics: null } });
    offset += data.length;
  }
  return reader.records();
}

/** What matters of a record whatever packets showed it. */
const essence = ({ streams, first, clientHello, serverHello, ...rest }: HboneConnection) => ({
  ...rest,
  clientHello: clientHello && { ...clientHello, evidence: null },
  serverHello: serverHello && { ...serverHello, evidence: null },
  streams: streams.map((stream) => ({ ...stream, request: null, response: null })),
});

const samplePath = sample('hbone-tls.pcapng');
const sampleFrames = readAll(await openCapture(samplePath)).then((packets) =>
  packets.map(({ data }) => Buffer.from(data, 'hex')),
);
const sampleKeys = () => new KeyLog().add(readFileSync(sample('hbone-tls.keys'), 'latin1'));

describe('hbone-tls.pcapng', () => {
  it('opens with the key log that it brings', async () => {
    const [open, closed, ...others] = await readFile(samplePath);
    expect(others).toEqual([]);
    const evidence = (number: number) => expect.objectContaining({ file: samplePath, number });
    expect(open).toMatchObject({
      client: { address: '10.244.1.4', port: 43100 },
      server: { address: '10.244.2.5', port: 15008 },
      first: evidence(1),
      start: 'tls',
      clientHello: { version: 0x0304, alpn: ['h2'], serverName: null, evidence: evidence(4) },
      serverHello: { version: 0x0304, cipherSuite: 0x1301, evidence: evidence(6) },
      keys: 'found',
      alpn: 'h2',
      clientIdentity: 'spiffe://cluster.example/ns/default/sa/client',
      serverIdentity: 'spiffe://cluster.example/ns/default/sa/server',
      decrypted: { opened: 10, refused: 0 },
      moreStreams: 0,
      problems: [],
    });
    expect(open.streams).toEqual([
      {
        id: 1,
        method: 'CONNECT',
        authority: '10.244.2.5:8080',
        path: null,
        baggage: 'k8s.namespace.name=default,k8s.pod.name=client',
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        forwarded: 'for=10.244.1.4',
        request: evidence(10),
        status: 200,
        response: evidence(12),
        sent: 76,
        received: 82,
        innerRequest: 'GET / HTTP/1.1',
        innerResponse: 'HTTP/1.1 200 OK',
        reset: null,
      },
      expect.objectContaining({
        id: 3,
        authority: '10.244.2.5:9090',
        baggage: 'k8s.namespace.name=default,k8s.pod.name=client',
        forwarded: 'for=10.244.1.4',
        status: 503,
        reset: 8,
        sent: 0,
        innerRequest: null,
      }),
    ]);
    expect(closed).toMatchObject({
      start: 'tls',
      clientHello: { alpn: ['h2'] },
      keys: 'missing',
      alpn: null,
      clientIdentity: null,
      streams: [],
      problems: ['the key log has no secrets of this connection'],
    });
  });

  it('is read the same whatever the order of its packets, and however often they come', async () => {
    const frames = await sampleFrames;
    const expected = (await readFile(samplePath)).map(essence);
    // A capture of several interfaces: each packet twice, and copies come late.
    const doubled = frames.flatMap((data, i) => (i >= 5 ? [data, frames[i - 5]] : [data]));
    expect(readFrames(doubled, sampleKeys()).map(essence)).toEqual(expected);
    // Neighbours behind the first packet change places.
    const swapped = frames.slice();
    for (let i = 1; i + 1 < frames.length; i += 2) [swapped[i], swapped[i + 1]] = [frames[i + 1], frames[i]];
    expect(readFrames(swapped, sampleKeys()).map(essence)).toEqual(expected);
    // The handshake of TCP was not captured.
    const late = frames.filter((_, i) => i > 2);
    expect(essence(readFrames(late, sampleKeys())[0])).toEqual(expected[0]);
  });

  it('is read where its SYN is inside a tunnel and the rest is not', async () => {
    const frames = await sampleFrames;
    const tunnelled = frames.map((data, i) => (i === 0 ? vxlan({ vni: 1000 }, data) : data));
    expect(readFrames(tunnelled, sampleKeys()).map(essence)).toEqual(
      (await readFile(samplePath)).map(essence),
    );
  });

  it('is read up to a packet that is missing, and says so', async () => {
    const frames = await sampleFrames;
    const [record] = readFrames(
      frames.filter((_, i) => i !== 13),
      sampleKeys(),
    );
    expect(record.streams[0]).toMatchObject({
      authority: '10.244.2.5:8080',
      status: 200,
      sent: 0,
      received: 82,
    });
    expect(record.problems).toEqual([
      expect.stringMatching(/^\d+ bytes of the client were not captured, nothing after them was read$/),
    ]);
  });

  it('says what it cannot know where the beginning was not captured', async () => {
    const frames = await sampleFrames;
    const [record] = readFrames(
      frames.filter((_, i) => i > 6),
      sampleKeys(),
    );
    expect(record).toMatchObject({ start: 'not-captured', clientHello: null, keys: null, streams: [] });
  });

  it('keeps two connections apart that use the same addresses and ports', async () => {
    const frames = await sampleFrames;
    // The same frames, every sequence number of this side and acknowledgement of the other moved far away.
    const moved = frames.map((data) => {
      const copy = Buffer.from(data);
      for (const at of [38, 42]) copy.writeUInt32BE((copy.readUInt32BE(at) + 0x40000000) >>> 0, at);
      return copy;
    });
    const both = frames.flatMap((data, i) => [data, moved[i]]);
    const [first] = (await readFile(samplePath)).map(essence);
    const records = readFrames(both, sampleKeys()).map(essence);
    expect(records).toHaveLength(4);
    expect(records.slice(0, 2)).toEqual([first, first]);
  });
});

describe('port 15008', () => {
  const ends = { src: '10.0.0.1', dst: '10.0.0.2' };
  const sent = (payload: string, seq = 101) =>
    frame(6, ends, tcp(40000, 15008, { seq, flags: 'PA' }, Buffer.from(payload)));
  const syn = frame(6, ends, tcp(40000, 15008, { seq: 100, flags: 'S' }));

  it('that nobody answers has a connection without data', () => {
    expect(readFrames([syn, syn])).toMatchObject([
      { start: 'no-data', problems: [], client: { port: 40000 } },
    ]);
  });

  it('with plain HTTP is not TLS', () => {
    expect(readFrames([syn, sent('GET / HTTP/1.1\r\n\r\n')])).toMatchObject([
      { start: 'not-tls', problems: ["the client's bytes are no TLS records"] },
    ]);
  });

  it('with another connection of the same ends later on has two', () => {
    const again = frame(6, ends, tcp(40000, 15008, { seq: 5000, flags: 'S' }));
    const records = readFrames([syn, sent('hello'), again, sent('there', 5001)]);
    expect(records.map(({ start }) => start)).toEqual(['not-tls', 'not-tls']);
  });

  it('may be another port', () => {
    expect(readFrames([syn], undefined, [443])).toEqual([]);
    expect(readFrames([frame(6, ends, tcp(40000, 443, { flags: 'S' }))], undefined, [443])).toHaveLength(1);
  });

  it('whatever comes there', () => {
    const frames = Array.from({ length: 300 }, (_, i) =>
      eth(
        0x0800,
        Buffer.concat([
          sent('').subarray(14, 34),
          Buffer.alloc(20 + (i % 30), i * 37),
          Buffer.from('16030100', 'hex'),
        ]),
      ),
    );
    for (const each of frames) each.writeUInt16BE(15008, 36);
    expect(() => readFrames(frames)).not.toThrow();
  });
});

const shared = process.env.TUNSCOPE_SHARED;
const lab = path.join(shared ?? '', 'captures/lab');
const available = shared !== undefined && existsSync(path.join(lab, 'tls-keys.log'));

describe.skipIf(!available)('the lab (TUNSCOPE_SHARED names its directory)', () => {
  const labKeys = () => new KeyLog().add(readFileSync(path.join(lab, 'tls-keys.log'), 'latin1'));

  it.each([
    'ambient_n1_multi.pcapng',
    'ambient_underlay.pcap',
    'ambient_n2_any_sll2.pcap',
    'ambient_n2_any_sll.pcap',
  ])('%s gives its CONNECT requests once', async (file) => {
    const records = await readFile(path.join(lab, file), labKeys());
    for (const record of records)
      expect(record).toMatchObject({
        start: 'tls',
        keys: 'found',
        alpn: 'h2',
        problems: [],
        clientHello: { version: 0x0304, alpn: ['h2'], serverName: null },
        clientIdentity: 'spiffe://cluster.local/ns/default/sa/lab',
      });
    const streams = records.flatMap(({ streams }) => streams);
    expect(streams.map(({ method, authority, status }) => [method, authority, status])).toEqual([
      ['CONNECT', '10.244.2.10:8080', 200],
      ['CONNECT', '10.244.2.10:8080', 200],
      ['CONNECT', '10.244.2.10:8443', 200],
    ]);
    expect(streams.map(({ innerRequest }) => innerRequest)).toEqual([
      'GET /index.html HTTP/1.1',
      'GET /20k.txt HTTP/1.1',
      null,
    ]);
  });

  const tshark = spawnSync('tshark', ['--version']).status === 0;

  it.skipIf(!tshark)('agrees with tshark on the header fields', async () => {
    const file = path.join(lab, 'ambient_underlay.pcap');
    const keys = path.join(lab, 'tls-keys.log');
    const args = ['-o', `tls.keylog_file:${keys}`, '-d', 'tcp.port==15008,tls', '-Y', 'http2.headers.method'];
    const fields = ['frame.number', 'http2.headers.method', 'http2.headers.authority'].flatMap((name) => [
      '-e',
      name,
    ]);
    const text = execFileSync('tshark', ['-r', file, ...args, '-T', 'fields', ...fields], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const ours = (await readFile(file, labKeys())).flatMap(({ streams }) =>
      streams.map(({ request, method, authority }) => `${request?.number}\t${method}\t${authority}\n`),
    );
    expect(ours.join('')).toBe(text);
  });

  it('that cut its packets says that bytes are missing', async () => {
    const records = await readFile(path.join(lab, 'ambient_z2_eth0_snap96.pcap'), labKeys());
    expect(records.length).toBeGreaterThan(0);
    for (const { streams, problems } of records) {
      expect(streams).toEqual([]);
      expect(problems[0]).toMatch(/bytes of the client were not captured/);
    }
  });
});
