import { describe, expect, it } from 'vitest';
import { MacsecKey } from '../../src/decrypt/macsec.ts';
import { hex } from '../dissectors/packet.ts';

/** Opens a frame whose tag follows the two addresses. */
function opened(spec: string, text: string): string | null {
  const frame = hex(text);
  const view = new DataView(frame.buffer);
  const plain = MacsecKey.parse(spec).open(frame, view, 0, 14, frame.length);
  return plain === null ? null : Buffer.from(plain).toString('hex');
}

const key128 = 'ad7a2bd03eac835a6f620fdcb506b345';
const key256 = 'e3c08a8f06c6e3ad95a70557b23f75483ce33021a9c72b7025666204c69c0b72';
const header = 'd609b1f05663 7a0d46df998d 88e5 2e00 b2c28465 12153524c0895e81';
const plain60 =
  '08000f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a0002';
const sealed128 = `${header}
  701afa1cc039c0d765128a665dab69243899bf7318ccdc81c9931da17fbe8edd7d17cb8b4c26fc81e3284f2b7fba713d
  4f8d55e7d3f06fd5a13c0c29b9d5b880`;
const sealed256 = `${header}
  e2006eb42f5277022d9b19925bc419d7a592666c925fe2ef718eb4e308efeaa7c5273b394118860a5be2a97f56ab7836
  5ca597cdbb3edb8d1a1151ea0af7b436`;
// The identifier is not sent: the source address and port 1.
const sealed54 = `e20106d7cd0d f0761e8dcd3d 88e5 4c2a 76d457ed
  13b4c72b389dc5018e72a171dd85a5d3752274d3a019fbcaed09a425cd9b2e1c9b72eee7c9de7d52b3f3
  d6a5284f4a6d3fe22a5d6c2b960494c3`;
const key54 = '071b113b0ca743fecccf3d051f737382';
const plain54 = '08000f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f30313233340004';

describe('frames of IEEE 802.1AE annex C', () => {
  it.each([
    ['60 bytes, GCM-AES-128', `key=${key128}`, sealed128, plain60],
    ['60 bytes, GCM-AES-256', `key=${key256}`, sealed256, plain60],
    [
      '60 bytes, channel and association named',
      `key=${key128},an=2,sci=12153524c0895e81`,
      sealed128,
      plain60,
    ],
    ['54 bytes, implicit identifier', `key=${key54}`, sealed54, plain54],
    ['54 bytes, implicit identifier named', `key=${key54},sci=f0761e8dcd3d0001`, sealed54, plain54],
    ['54 bytes and padding of the link', `key=${key54}`, `${sealed54} 000000000000`, plain54],
  ])('%s', (_, spec, frame, plain) => {
    expect(opened(spec, frame)).toBe(plain);
  });

  it.each([
    ['another key', `key=${key54}`, sealed128],
    ['another association', `key=${key128},an=1`, sealed128],
    ['another channel', `key=${key128},sci=12153524c0895e82`, sealed128],
    ['a changed address', `key=${key128}`, sealed128.replace('d609', 'd608')],
    ['a changed byte', `key=${key128}`, sealed128.replace('701a', '701b')],
    ['a length beyond the frame', `key=${key54}`, sealed54.replace('4c2a', '4c2b')],
    [
      'a frame without room for the check value',
      `key=${key54}`,
      'e20106d7cd0d f0761e8dcd3d 88e5 4c00 76d457ed 00',
    ],
  ])('%s does not open', (_, spec, frame) => {
    expect(opened(spec, frame)).toBeNull();
  });
});

describe('--macsec-key', () => {
  it.each([
    ['an=1', /key=HEX is missing/],
    [`key=${key128}00`, /key takes 16 or 32 bytes in hexadecimal/],
    [`key=${key128},an=4`, /an takes a number from 0 to 3/],
    [`key=${key128},sci=1`, /sci takes 8 bytes/],
    [key128, /name=value/],
  ])('refuses %s', (text, message) => {
    expect(() => MacsecKey.parse(text)).toThrow(message);
  });
});
