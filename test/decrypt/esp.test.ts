import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SecurityAssociation } from '../../src/decrypt/esp.ts';
import { UsageError } from '../../src/errors.ts';
import { hex, join } from '../dissectors/packet.ts';
import { type EspKey, espOf } from './protect.ts';

const opened = (association: SecurityAssociation, packet: Uint8Array) => {
  const content = association.open(packet);
  return content === null ? null : [content.nextHeader, Buffer.from(content.payload).toString('hex')];
};

describe('AES-GCM of draft-mcgrew-gcm-test-01 section 4', () => {
  it.each([
    {
      // It authenticates 00004321 87654321 00000000.
      what: 'case 1: 128 bits, 64-bit sequence number',
      spec: 'spi=0x4321,esn=0x87654321,aes-gcm=4c80cdefbb5d10da906ac73c3613a6342e443b68',
      packet: `00004321 00000000 4956ed7e3b244cfe
        fecf537e729d5b07dc30df528dd22b768d1b98736696a6fd348509fa13ceac34cfa2436f14a3f3cf
        65925bf1f4a13c5d15b21e1884f5ff6247aeabb786b93bce61bc17d768fd9732
        459018148f6cbe722fd04796562dfdb4`,
      plain: `45000048699a000080114db7c0a80102c0a801010a9bf15638d301000001000000000000045f7369
        70045f756470037369700963796265726369747902646b0000210001`,
    },
    {
      what: 'case 2: 128 bits',
      spec: 'spi=0xa5f8,aes-gcm=feffe9928665731c6d6a8f9467308308cafebabe',
      packet: `0000a5f8 0000000a facedbaddecaf888
        deb22cd9b07c72c16e3a65beeb8df304a5a5897d33ae530f1ba76d5d114d2a5c3de81827c10e9a4f
        51330d0eec416642cfbb85a5b47e48a4ec3b9ba95d918bd1 83b70d3aa8bc6ee4c309e9d85a41ad4a`,
      plain: `4500003e698f000080114dccc0a80102c0a801010a980035002a2343b2d001000001000000000000
        037369700963796265726369747902646b0000010001`,
    },
    {
      what: 'case 3: 256 bits',
      spec: 'spi=0x4a2cbfe3,aes-gcm=abbccddef00112233445566778899aababbccddef00112233445566778899aab11223344',
      packet: `4a2cbfe3 00000002 0102030405060708
        ff425c9b724599df7a3bcd510194e00d6a78107f1b0b1cbf06efae9d65a5d763748a637985771d34
        7f0545659f14e99def842d8e b335f4eecfdbf831824b4c4915956c96`,
      plain: `4500003069a6400080062690c0a801029389155e0a9e008b2dc57ee0000000007002400020bf0000
        020405b401010402`,
    },
    {
      what: 'case 7: 192 bits',
      spec: 'spi=0xa5f8,aes-gcm=feffe9928665731c6d6a8f9467308308feffe9928665731ccafebabe',
      packet: `0000a5f8 0000000a facedbaddecaf888
        a5b1f8066029aea40e598b8122de02420938b3ab33f828e687b8858b5bfbdbd0315b27452144cc77
        95457b9652037f5318027b5b4cd7a636`,
      plain: '45000028a4ad4000400678800a01038f0a010612802306b8cb712602dd6bb03e501016d07568',
    },
  ])('$what', ({ spec, packet, plain }) => {
    // The next header of all these cases is 1.
    expect(opened(SecurityAssociation.parse(spec), hex(packet))).toEqual([1, plain.replace(/\s/g, '')]);
  });
});

const secret = (length: number) => Buffer.from(Array.from({ length }, (_, i) => 3 * i + 1));
const cases: [string, string, EspKey][] = [
  ['AES-128-GCM', `aes-gcm=${secret(20).toString('hex')}`, { spi: 0x1001, gcm: secret(20) }],
  ['AES-256-GCM', `aes-gcm=0x${secret(36).toString('hex')}`, { spi: 0x1001, gcm: secret(36) }],
  [
    'AES-GCM, 8-byte ICV',
    `aes-gcm=${secret(20).toString('hex')},icv=8`,
    { spi: 0x1001, gcm: secret(20), icv: 8 },
  ],
  ['HMAC-SHA1', `hmac-sha1=${secret(20).toString('hex')}`, { spi: 0x1001, hmac: ['sha1', secret(20)] }],
  [
    'HMAC-SHA-256',
    `hmac-sha256=${secret(32).toString('hex')}`,
    { spi: 0x1001, hmac: ['sha256', secret(32)] },
  ],
  [
    'HMAC-SHA-256, 12-byte ICV',
    `hmac-sha256=${secret(32).toString('hex')},icv=12`,
    { spi: 0x1001, hmac: ['sha256', secret(32)], icv: 12 },
  ],
];

describe.each(cases)('%s', (_, algorithm, key) => {
  it('opens what was sealed with its key, and nothing that was changed', () => {
    const association = SecurityAssociation.parse(`spi=0x1001,${algorithm}`);
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 100 }),
        fc.nat(255),
        fc.nat(),
        fc.nat(),
        (payload, next, number, at) => {
          const packet = espOf(key, number >>> 0, next, payload);
          expect(opened(association, packet)).toEqual([next, Buffer.from(payload).toString('hex')]);
          const changed = Buffer.from(packet);
          changed[at % packet.length] ^= 0x10;
          expect(opened(association, changed)).toBeNull();
          expect(opened(association, packet.subarray(0, at % packet.length))).toBeNull();
        },
      ),
      { numRuns: 50 },
    );
  });

  it('counts on when 64-bit sequence numbers go over 32 bits', () => {
    const association = SecurityAssociation.parse(`spi=4097,esn=0,${algorithm}`);
    const payload = hex('01020304');
    for (const [high, number] of [
      [0, 0xfffffffe],
      [1, 1],
      [0, 0xffffffff], // late
      [1, 2],
      [2, 3],
    ])
      expect(opened(association, espOf({ ...key, high }, number, 4, payload))).toEqual([4, '01020304']);
    expect(opened(association, espOf({ ...key, high: 9 }, 1, 4, payload))).toBeNull();
  });
});

it('refuses what authenticates and has more padding than payload', () => {
  const association = SecurityAssociation.parse(`spi=0x1001,hmac-sha1=${secret(20).toString('hex')}`);
  const body = hex('00001001 00000001 0102 03 04');
  const icv = createHmac('sha1', secret(20)).update(body).digest().subarray(0, 12);
  expect(opened(association, join(body, icv))).toBeNull();
});

describe('--esp-sa', () => {
  const gcm = `aes-gcm=${'00'.repeat(20)}`;
  it.each([
    ['', /name=value/],
    ['0x1001', /name=value/],
    [`${gcm}`, /spi=NUMBER is missing/],
    [`spi=0x1001`, /give one of aes-gcm/],
    [`spi=0x1001,${gcm},hmac-sha1=${'00'.repeat(20)}`, /give one of/],
    [`spi=255,${gcm}`, /spi takes a number from 256 to 4294967295/],
    [`spi=0x100000000,${gcm}`, /spi takes a number/],
    [`spi=1e9,${gcm}`, /spi takes a number/],
    [`spi=0x1001,spi=0x1001,${gcm}`, /spi is given twice/],
    [`spi=0x1001,dst=node1,${gcm}`, /dst takes an IPv4 or IPv6 address/],
    [`spi=0x1001,aes-gcm=${'00'.repeat(16)}`, /20, 28 or 36 bytes.*salt.*not 16/],
    [`spi=0x1001,hmac-sha256=${'00'.repeat(31)}0x`, /takes 32 bytes/],
    [`spi=0x1001,icv=9,${gcm}`, /icv takes 8, 12 or 16/],
    [`spi=0x1001,secretsecret=1,${gcm}`, /name=value/],
  ])('refuses %s', (text, message) => {
    expect(() => SecurityAssociation.parse(text)).toThrow(message);
    expect(() => SecurityAssociation.parse(text)).toThrow(UsageError);
  });

  it('never repeats a key', () => {
    const key = 'deadbeef'.repeat(4);
    for (const text of [`spi=0x1001,aes-gcm=${key}`, `spi=0x1001,aes-cbc=${key}`, key, `spi=${key},${gcm}`])
      expect(() => SecurityAssociation.parse(text)).toThrow(
        expect.objectContaining({ message: expect.not.stringContaining('deadbeef') }),
      );
  });
});
