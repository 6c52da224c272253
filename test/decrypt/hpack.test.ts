import http2 from 'node:http2';
import { Duplex } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type HeaderField, HpackDecoder, huffmanText } from '../../src/decrypt/hpack.ts';
import { hex } from '../dissectors/packet.ts';

describe('RFC 7541 appendix C', () => {
  const request1 = [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'www.example.com'],
  ];
  const request2 = [...request1, ['cache-control', 'no-cache']];
  const request3 = [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':path', '/index.html'],
    [':authority', 'www.example.com'],
    ['custom-key', 'custom-value'],
  ];
  const response1 = [
    [':status', '302'],
    ['cache-control', 'private'],
    ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
    ['location', 'https://www.example.com'],
  ];
  const response2 = [[':status', '307'], ...response1.slice(1)];
  const response3 = [
    [':status', '200'],
    ['cache-control', 'private'],
    ['date', 'Mon, 21 Oct 2013 20:13:22 GMT'],
    ['location', 'https://www.example.com'],
    ['content-encoding', 'gzip'],
    ['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'],
  ];

  it.each([
    [
      'C.2.1',
      '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572',
      ['custom-key', 'custom-header'],
    ],
    ['C.2.2', '040c 2f73 616d 706c 652f 7061 7468', [':path', '/sample/path']],
    ['C.2.3', '1008 7061 7373 776f 7264 0673 6563 7265 74', ['password', 'secret']],
    ['C.2.4', '82', [':method', 'GET']],
  ])('%s: one representation', (_, block, field) => {
    expect(new HpackDecoder().decode(hex(block))).toEqual([field]);
  });

  it.each([
    [
      'C.3: requests',
      '',
      [
        ['8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d', request1],
        ['8286 84be 5808 6e6f 2d63 6163 6865', request2],
        ['8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65', request3],
      ],
    ],
    [
      'C.4: requests, Huffman-coded',
      '',
      [
        ['8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff', request1],
        ['8286 84be 5886 a8eb 1064 9cbf', request2],
        ['8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf', request3],
      ],
    ],
    [
      'C.5: responses, with a table of 256 bytes',
      '3fe101',
      [
        [
          `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
           2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70
           6c65 2e63 6f6d`,
          response1,
        ],
        ['4803 3330 37c1 c0bf', response2],
        [
          `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
           54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
           5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
           3d31`,
          response3,
        ],
      ],
    ],
    [
      'C.6: responses, Huffman-coded',
      '3fe101',
      [
        [
          `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
           2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
          response1,
        ],
        ['4883 640e ffc1 c0bf', response2],
        [
          `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
           77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
           9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
          response3,
        ],
      ],
    ],
  ] as const)('%s', (_, tableSize, blocks) => {
    const decoder = new HpackDecoder();
    for (const [i, [block, fields]] of blocks.entries())
      expect(decoder.decode(hex((i === 0 ? tableSize : '') + block))).toEqual(fields);
  });
});

/** Header blocks as nghttp2, inside Node, encodes them: one per request of one connection. */
async function encoded(requests: readonly (readonly HeaderField[])[]): Promise<Uint8Array[]> {
  const chunks: Buffer[] = [];
  const wire = new Duplex({
    read() {},
    write(chunk: Buffer, _, done) {
      chunks.push(chunk);
      done();
    },
  });
  const session = http2.connect('http://127.0.0.1', { createConnection: () => wire });
  session.on('error', () => {});
  for (const fields of requests) {
    const headers: Record<string, string> = { ':method': 'CONNECT', ':authority': '10.0.0.1:80' };
    for (const [name, value] of fields) headers[name] = value;
    session.request(headers).on('error', () => {});
  }
  // Frames are written in later turns of the loop; closing writes what is left.
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise<void>((resolve) => {
    session.once('close', resolve);
    session.destroy();
  });
  const bytes = Buffer.concat(chunks).subarray('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'.length);
  const blocks: Uint8Array[] = [];
  for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
    const block = bytes.subarray(at + 9, at + 9 + bytes.readUIntBE(at, 3));
    if (bytes[at + 3] === 1) blocks.push(bytes[at + 4] & 0x20 ? block.subarray(5) : block);
  }
  return blocks;
}

describe('against the encoder of nghttp2', () => {
  it('reads every byte that a value may have', async () => {
    const characters = Array.from({ length: 256 }, (_, i) => i).filter(
      (c) => c === 9 || (c >= 32 && c !== 127),
    );
    // One value each: all of them and more, so that every code is there behind every bit offset.
    const requests = Array.from({ length: 8 }, (_, shift): HeaderField[] => [
      ['x-bytes', `${'a'.repeat(shift)}!${String.fromCharCode(...characters)}!`],
    ]);
    const decoder = new HpackDecoder();
    const values = (await encoded(requests)).map((block) => decoder.decode(block)?.at(-1)?.[1]);
    expect(values).toEqual(requests.map(([[, value]]) => value));
  });

  it('follows the dynamic table through many requests', async () => {
    const name = fc.stringMatching(/^x-[a-z0-9-]{1,12}$/);
    const value = fc.stringMatching(/^[!-~]{1,60}$/);
    const requests = fc.array(fc.uniqueArray(fc.tuple(name, value), { selector: ([n]) => n, maxLength: 8 }), {
      minLength: 1,
      maxLength: 40,
    });
    await fc.assert(
      fc.asyncProperty(requests, async (requests) => {
        const decoder = new HpackDecoder();
        const blocks = await encoded(requests);
        expect(blocks.length).toBe(requests.length);
        for (const [i, block] of blocks.entries()) {
          const fields = decoder.decode(block) ?? [];
          expect(new Map(fields.filter(([name]) => name.startsWith('x-')))).toEqual(new Map(requests[i]));
        }
      }),
      { numRuns: 30 },
    );
  });
});

describe('what is no header block', () => {
  it.each([
    ['index 0', '80'],
    ['an index beyond the tables', 'be'],
    ['an integer without end', 'ffffffffffffffffff'],
    ['an integer that is cut', 'ff'],
    ['a literal without value', '400161'],
    ['a string beyond the block', '0001610a62'],
    ['a size update after a field', '8220'],
    ['a table above the limit', '3fe1ff7f'],
    ['padding of a whole byte', '000161 82 1fff'],
    ['padding that is not ones', '000161 81 18'],
    ['the end of string spelled out', '000161 84 ffffffff'],
  ])('%s', (_, block) => {
    expect(new HpackDecoder().decode(hex(block))).toBeNull();
  });

  it('is refused without harm, whatever it is', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }), (blocks) => {
        const decoder = new HpackDecoder();
        for (const block of blocks) {
          const fields = decoder.decode(block);
          if (fields === null) return;
          expect(fields.length).toBeLessThanOrEqual(block.length);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('reads inside its bounds only', () => {
    const bytes = hex('ff f1e3c2e5f23a6ba0ab90f4ff 00');
    expect(huffmanText(bytes, 1, bytes.length - 1)).toBe('www.example.com');
  });
});
