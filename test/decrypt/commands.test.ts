/** The options that bring keys, as a user gives them. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { PacketRecord } from '../../src/core/record.ts';
import type { FlowRecord } from '../../src/flow/records.ts';
import { block, openBytes, readAll, sectionHeader, text, u32 } from '../capture/bytes.ts';
import { linesOf, runCommand } from '../command.ts';
import { join } from '../dissectors/packet.ts';
import { sample, samples } from '../samples.ts';

const scratch = mkdtempSync(path.join(tmpdir(), 'tunscope-keys-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const ipsec = {
  espSa: [`@${sample('ipsec-macsec.sa')}`],
  macsecKey: [`@${sample('ipsec-macsec.sak')}`],
};

async function flowsOf(file: string, options = {}): Promise<{ flows: FlowRecord[]; stderr: string }> {
  const { stdout, stderr } = await runCommand('flows', [file], { ndjson: true, ...options });
  return { flows: linesOf(stdout).map((line) => JSON.parse(line) as FlowRecord), stderr };
}

/** A flow without its times, which differ from one tap to the next. */
const conversation = ({
  vni,
  tunnels,
  protocol,
  src,
  srcPort,
  dst,
  dstPort,
  packets,
  bytes,
  outerBytes,
  tcp,
}: FlowRecord) => ({
  ...{ vni, tunnels, protocol, src, srcPort, dst, dstPort, packets, bytes, outerBytes },
  tcp: tcp && { state: tcp.state, retransmissions: tcp.retransmissions },
});
const sorted = (flows: FlowRecord[]) =>
  flows.map(conversation).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));

describe('ipsec-macsec.pcapng', () => {
  it('shows the tunnels inside with its keys', async () => {
    const { flows, stderr } = await flowsOf(sample('ipsec-macsec.pcapng'), ipsec);
    const seen = flows.map(({ vni, tunnels, protocol, packets }) =>
      [vni, tunnels.map((tunnel) => `${tunnel.protocol} ${tunnel.src}`).join(), protocol, packets].join(' '),
    );
    expect(seen.sort()).toEqual([
      ' esp 1'.padStart(7),
      ' ipip 192.0.2.1 icmp 1',
      '5010 geneve 192.0.2.1 icmp 2',
      '5010 geneve 192.0.2.1 tcp 1',
      '5011 geneve 192.0.2.1 icmp 1',
      '5012 geneve 192.0.2.1 icmpv6 1',
      '5013 geneve 2001:db8::1 icmp 1',
      '5015 geneve 192.0.2.1 icmp 1',
    ]);
    expect(stderr).toBe('tunscope: for 1 ESP packet no SA was given: SPI 0x00004001\n');
  });

  it('shows none of them without', async () => {
    const { flows, stderr } = await flowsOf(sample('ipsec-macsec.pcapng'));
    expect(flows.filter(({ vni }) => vni !== null)).toEqual([]);
    expect(stderr).toBe('');
  });
});

describe('hbone-tls.pcapng', () => {
  it('shows header fields with the secrets inside it', async () => {
    const { stdout } = await runCommand('packets', [sample('hbone-tls.pcapng')], { ndjson: true });
    const packets = linesOf(stdout).map((line) => JSON.parse(line) as PacketRecord);
    const shown = packets.flatMap(({ number, decrypted = [] }) =>
      decrypted.map(({ fields }) => [
        number,
        fields['http2.streamid'],
        fields['http2.headers.authority'] ?? fields['http2.headers.status'],
      ]),
    );
    expect(shown).toEqual([
      [10, 1, '10.244.2.5:8080'],
      [12, 1, 200],
      [18, 3, '10.244.2.5:9090'],
      [20, 3, 503],
    ]);
  });

  it('shows the same as a file without them and the key log beside it', async () => {
    // The same file but for its second block, which holds the secrets.
    const [file, keys] = [path.join(scratch, 'no-secrets.pcapng'), sample('hbone-tls.keys')];
    const bytes = readFileSync(sample('hbone-tls.pcapng'));
    const secrets = bytes.readUInt32LE(4);
    expect(bytes.readUInt32LE(secrets)).toBe(10);
    writeFileSync(
      file,
      Buffer.concat([bytes.subarray(0, secrets), bytes.subarray(secrets + bytes.readUInt32LE(secrets + 4))]),
    );
    const [bare, given] = [
      await runCommand('packets', [file]),
      await runCommand('packets', [file], { tlsKeys: keys }),
    ];
    expect(bare.stdout).not.toContain('CONNECT');
    const inside = await runCommand('packets', [sample('hbone-tls.pcapng')]);
    expect(given).toEqual(inside);
    expect(given.stdout).toContain('http2 307  HEADERS[1]: CONNECT 10.244.2.5:8080\n');
  });

  it('says where no key fits', async () => {
    const other = path.join(scratch, 'other.keys');
    writeFileSync(other, `CLIENT_TRAFFIC_SECRET_0 ${'ab'.repeat(32)} ${'cd'.repeat(32)}\n`);
    const { status, stderr } = await runCommand('packets', [sample('dns-tls.pcapng')], { tlsKeys: other });
    expect(status).toBe(0);
    expect(stderr).toMatch(
      /^tunscope: the key log opened nothing: it has secrets of none of the \d TLS 1\.3 connections\n$/,
    );
  });
});

describe('decryption secrets blocks', () => {
  const secretsOf = (type: number, length: number, data: string) =>
    block(10, join(u32(type), u32(length), text(data), new Uint8Array(-data.length & 3)));
  const TLSK = 0x544c534b;

  it.each([
    ['a key log', secretsOf(TLSK, 5, 'abc\nd'), ['abc\nd']],
    ['other secrets', secretsOf(0x57474b4c, 3, 'abc'), []],
    ['a length beyond the block', secretsOf(TLSK, 9, 'abc'), []],
    ['no room for a length', block(10, u32(TLSK)), []],
  ])('with %s', async (_, secrets, expected) => {
    const capture = await openBytes(join(sectionHeader(), secrets));
    await readAll(capture);
    expect(capture.secrets).toEqual(expected);
    expect(capture.files[0].damage).toBeNull();
  });
});

describe('wrong usage', () => {
  const main = path.resolve(import.meta.dirname, '../../dist/bin/tunscope.js');
  const tunscope = (...args: string[]) =>
    new Promise<{ status: unknown; stdout: string; stderr: string }>((resolve) => {
      execFile(process.execPath, [main, ...args], { cwd: samples }, (error, stdout, stderr) =>
        resolve({ status: error?.code ?? 0, stdout, stderr }),
      );
    });
  const secret = 'deadbeef'.repeat(3);

  it.each([
    [['flows', '--esp-sa', secret, 'vnis.pcap'], /--esp-sa: expected name=value pairs/],
    [['vni', '--esp-sa', `spi=1,aes-gcm=${secret}`, 'vnis.pcap'], /--esp-sa: spi takes a number from 256/],
    [['flows', '--esp-sa', '@missing', 'vnis.pcap'], /--esp-sa missing: no such file/],
    [['packets', '--macsec-key', `key=${secret}`, 'vnis.pcap'], /--macsec-key: key takes 16 or 32 bytes/],
    [['packets', '--macsec-key', '@.', 'vnis.pcap'], /--macsec-key \.: is a directory/],
    [['packets', '--tls-keys', 'missing', 'hbone-tls.pcapng'], /--tls-keys missing: no such file/],
    [['packets', '--tls-keys', 'ipsec-macsec.sa', 'hbone-tls.pcapng'], /no secrets of TLS 1\.3 in it/],
    [['flows', '--tls-keys', 'hbone-tls.keys', 'hbone-tls.pcapng'], /unknown option '--tls-keys'/],
  ])('%j is one line and status 2', async (args, message) => {
    const { status, stdout, stderr } = await tunscope(...args);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(stderr).not.toContain('deadbeef');
  });
});

const lab = path.join(process.env.TUNSCOPE_SHARED ?? '', 'captures/lab');
const available = process.env.TUNSCOPE_SHARED !== undefined && existsSync(path.join(lab, 'esp_gcm.pcap'));

describe.skipIf(!available)('the lab (TUNSCOPE_SHARED names its directory)', () => {
  const counting = (first: number, length: number) =>
    Buffer.from(Array.from({ length }, (_, i) => first + i)).toString('hex');
  const gcm = `aes-gcm=${counting(1, 16)}a1b2c3d4`;
  const hmac = `hmac-sha256=${counting(0x20, 32)}`;

  it('esp_gcm.pcap has the flows of the same packets before ESP', async () => {
    const plain = await flowsOf(path.join(lab, 'esp_gcm_cleartext_n1.pcap'));
    const opened = await flowsOf(path.join(lab, 'esp_gcm.pcap'), {
      espSa: [`spi=0x1001,${gcm}`, `spi=0x1002,${gcm}`],
    });
    expect(opened.stderr).toBe('');
    expect(opened.flows.length).toBeGreaterThan(0);
    expect(sorted(opened.flows)).toEqual(sorted(plain.flows));
  });

  it.each([
    ['esp_null.pcap', 66, [`spi=0x2001,${hmac}`, `spi=0x2002,${hmac}`]],
    ['esp_natt.pcap', 68, [`spi=0x3001,${gcm}`, `spi=0x3002,${gcm}`]],
  ])('%s has Geneve in every packet', async (file, packets, espSa) => {
    const { flows, stderr } = await flowsOf(path.join(lab, file), { espSa });
    expect(stderr).toBe('');
    expect(new Set(flows.map(({ vni }) => vni))).toEqual(new Set([5010]));
    expect(flows.reduce((sum, flow) => sum + flow.packets, 0)).toBe(packets);
  });
});
