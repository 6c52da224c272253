/** Frames that were protected come out of the capture as they were before. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { builtins } from '../../dissectors/index.ts';
import { Registry } from '../../src/core/registry.ts';
import { DecryptingCapture } from '../../src/decrypt/decrypting-capture.ts';
import { SecurityAssociation } from '../../src/decrypt/esp.ts';
import { MacsecKey } from '../../src/decrypt/macsec.ts';
import { join, openBytes, pcapHeader, pcapRecord, readAll } from '../capture/bytes.ts';
import {
  bytes,
  eth,
  fragments,
  frame,
  genevePayload,
  icmp,
  ip4,
  ip6,
  NODES,
  tcp,
  u16,
  udp,
  vxlan,
  zeros,
} from '../flow/frames.ts';
import { type EspKey, espOf, macsecOf, summed, transport } from './protect.ts';

const gcm = Buffer.alloc(20, 7);
const key: EspKey = { spi: 0x1001, gcm };
const spec = `spi=0x1001,aes-gcm=${gcm.toString('hex')}`;
const sak = Buffer.alloc(16, 9);
const identifier = Buffer.from('0200000000010001', 'hex');

const inner = frame(6, { src: '10.0.0.1', dst: '10.0.0.2' }, tcp(40000, 80, {}, Buffer.from('hello')));
const packet4 = summed(ip4(17, NODES, genevePayload({ vni: 42 }, inner)));
const packet6 = ip6(17, { src: 'fd00::1', dst: 'fd00::2' }, genevePayload({ vni: 42 }, inner));

interface Given {
  readonly esp?: readonly string[];
  readonly macsec?: readonly string[];
  /** Bytes captured of each frame. */
  readonly snap?: number;
}

async function read(frames: readonly Buffer[], { esp = [spec], macsec = [], snap }: Given = {}) {
  const records = frames.map((data) => pcapRecord(1, 0, data.subarray(0, snap), { length: data.length }));
  const capture = new DecryptingCapture(
    await openBytes(join(pcapHeader(), ...records)),
    new Registry().add(builtins),
    {
      esp: esp.map((text) => SecurityAssociation.parse(text)),
      macsec: macsec.map((text) => MacsecKey.parse(text)),
    },
  );
  const packets = await readAll(capture);
  return { frames: packets.map(({ data }) => Buffer.from(data, 'hex')), packets, remarks: capture.remarks() };
}

const ethernet = (packet: Buffer) => eth(packet[0] >> 4 === 4 ? 0x0800 : 0x86dd, packet);

describe('ESP', () => {
  it.each<[string, Buffer, Buffer]>([
    ['in transport mode', packet4, transport(packet4, key, 1)],
    ['over IPv6', packet6, transport(packet6, key, 1)],
    ['in UDP', packet4, transport(packet4, key, 1, { port: 4500 })],
    ['in UDP over IPv6', packet6, transport(packet6, key, 1, { port: 4500 })],
    [
      'behind extension headers',
      ip6(0, { src: 'fd00::1', dst: 'fd00::2' }, bytes(17, 0, 1, 4, zeros(4), packet6.subarray(40))),
      transport(
        ip6(0, { src: 'fd00::1', dst: 'fd00::2' }, bytes(17, 0, 1, 4, zeros(4), packet6.subarray(40))),
        key,
        1,
        {
          headers: 48,
          type: 40,
        },
      ),
    ],
    ['in tunnel mode', summed(ip4(4, NODES, packet4)), summed(ip4(50, NODES, espOf(key, 1, 4, packet4)))],
    ['inside ESP', packet4, transport(transport(packet4, key, 1), { ...key, spi: 0x2002 }, 1)],
  ])('%s', async (_, plain, sealed) => {
    const { frames, remarks } = await read([ethernet(sealed)], { esp: [spec, spec.replace('1001', '2002')] });
    expect(frames).toEqual([ethernet(plain)]);
    expect(remarks).toEqual([]);
  });

  it('inside a tunnel', async () => {
    const { frames, packets } = await read([vxlan({ vni: 5 }, ethernet(transport(packet4, key, 1)))]);
    const plain = vxlan({ vni: 5 }, ethernet(packet4));
    // The outer headers keep the lengths that they had.
    const from = plain.length - packet4.length;
    expect(frames[0].subarray(from)).toEqual(plain.subarray(from));
    expect(packets[0].length).toBe(plain.length);
  });

  it('has the length it would have had, on the wire too', async () => {
    const { packets } = await read([ethernet(transport(packet4, key, 1))]);
    expect([packets[0].data.length / 2, packets[0].length]).toEqual([
      14 + packet4.length,
      14 + packet4.length,
    ]);
  });

  it('loses the padding of the link', async () => {
    const small = summed(ip4(1, NODES, icmp(8, 1, zeros(0))));
    const { frames } = await read([bytes(ethernet(transport(small, key, 1)), zeros(6))]);
    expect(frames).toEqual([ethernet(small)]);
  });

  it('opens with the SA for its destination', async () => {
    const other = `spi=0x1001,dst=192.0.2.9,aes-gcm=${'00'.repeat(20)}`;
    const right = `${spec},dst=${NODES.dst}`;
    const sealed = ethernet(transport(packet4, key, 1));
    expect((await read([sealed], { esp: [other, right] })).frames).toEqual([ethernet(packet4)]);
    const { frames, remarks } = await read([sealed], { esp: [other] });
    expect(frames).toEqual([sealed]);
    expect(remarks).toEqual(['for 1 ESP packet no SA was given: SPI 0x00001001']);
    const sealed6 = ethernet(transport(packet6, key, 1));
    expect((await read([sealed6], { esp: [`${spec},dst=fd00:0::2`] })).frames).toEqual([ethernet(packet6)]);
  });

  it('stays as it is where it cannot be opened, and says why', async () => {
    const sealed = ethernet(transport(packet4, key, 1));
    const damaged = Buffer.from(sealed);
    damaged[60] ^= 1;
    const unknown = ethernet(transport(packet4, { ...key, spi: 0x3003 }, 1));
    const pieces = fragments(50, { ...NODES, id: 7 }, espOf(key, 1, 17, packet4.subarray(20)), 64);
    const frames = [sealed, damaged, unknown, unknown, ...pieces];
    const result = await read(frames);
    expect(result.frames).toEqual([ethernet(packet4), ...frames.slice(1)]);
    expect(result.remarks).toEqual([
      '1 ESP packet does not authenticate with the SA given for it',
      '1 ESP packet is a fragment or cut, and stays encrypted',
      'for 2 ESP packets no SA was given: SPI 0x00003003',
    ]);
    const cut = await read([sealed], { snap: 80 });
    expect(cut.frames).toEqual([sealed.subarray(0, 80)]);
    expect(cut.remarks).toEqual(['1 ESP packet is a fragment or cut, and stays encrypted']);
    expect((await read([ethernet(packet4)])).remarks).toEqual(['no ESP packet was seen']);
  });

  it('that an ICMP error quotes is no packet of its own', async () => {
    const sealed = transport(packet4, key, 1);
    const quoting = ethernet(ip4(1, NODES, icmp(3, 0, sealed)));
    expect((await read([quoting])).frames).toEqual([quoting]);
  });
});

describe('MACsec', () => {
  const plain = ethernet(packet4);
  const macsec = [`key=${sak.toString('hex')},sci=${identifier.toString('hex')}`];

  it('opens, and ESP inside it', async () => {
    const sealed = macsecOf(plain, sak, identifier, 1);
    const both = macsecOf(ethernet(transport(packet4, key, 1)), sak, identifier, 2);
    const short = eth(0x0806, zeros(28));
    const { frames, remarks } = await read([sealed, both, macsecOf(short, sak, identifier, 3)], { macsec });
    expect(frames).toEqual([plain, plain, short]);
    expect(remarks).toEqual([]);
  });

  it('stays closed under another key', async () => {
    const sealed = macsecOf(plain, Buffer.alloc(16, 8), identifier, 1);
    const { frames, remarks } = await read([sealed], { esp: [], macsec });
    expect(frames).toEqual([sealed]);
    expect(remarks).toEqual(['1 MACsec packet does not authenticate with the keys given']);
  });

  it('that is only signed is left as it is', async () => {
    const signed = bytes(
      plain.subarray(0, 12),
      u16(0x88e5),
      0x20,
      0,
      zeros(4),
      identifier,
      plain.subarray(12),
      zeros(16),
    );
    expect((await read([signed], { esp: [], macsec })).frames).toEqual([signed]);
  });
});

it('gives other packets on untouched, whatever they are', async () => {
  const start = ethernet(transport(packet4, key, 1));
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(start.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      fc.uint8Array({ maxLength: 60 }),
      async (changes, random) => {
        const changed = Buffer.from(start);
        for (const [at, value] of changes) changed[at] = value;
        const frames = [changed, frame(50, NODES, random), frame(17, NODES, udp(4500, 4500, random))];
        const result = await read(frames, { macsec: [`key=${sak.toString('hex')}`] });
        // Only what still authenticates is replaced: then the packet is shorter.
        for (const [i, each] of result.frames.entries())
          if (each.length === frames[i].length) expect(each).toEqual(frames[i]);
      },
    ),
    { numRuns: 100 },
  );
});
