import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Http2Session } from '../../src/decrypt/http2.ts';
import { Side } from '../../src/decrypt/tls-session.ts';
import { ascii, hex, join } from '../dissectors/packet.ts';

const PREFACE = ascii('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Uint8Array {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return join(header, payload);
}

/** Events as text. */
function read(pieces: readonly (readonly [Side, Uint8Array])[]) {
  const events: string[] = [];
  const session = new Http2Session({
    headers: (side, stream, fields) =>
      events.push(`${side} ${stream} ${fields.map((f) => f.join('=')).join(' ')}`),
    data: (side, stream, bytes) => events.push(`${side} ${stream} data ${Buffer.from(bytes)}`),
    reset: (side, stream, code) => events.push(`${side} ${stream} reset ${code}`),
  });
  for (const [side, bytes] of pieces) session.data(side, bytes);
  return { events, problem: session.problem };
}

const END_HEADERS = 4;
/** :method: CONNECT, literal. */
const connect = join(hex('0207'), ascii('CONNECT'));
const authority = join(hex('010b'), ascii('10.0.0.1:80'));

describe('frames', () => {
  it('with padding, priority and continuations give their header fields', () => {
    const { events, problem } = read([
      [
        Side.client,
        join(
          PREFACE,
          frame(4, 0, 0, new Uint8Array(6)),
          frame(1, 0x08 | 0x20, 1, join(hex('03 80000000 10'), connect.subarray(0, 4), hex('000000'))),
          frame(9, 0, 1, connect.subarray(4)),
          frame(9, END_HEADERS, 1, authority),
          frame(0, 0x08, 1, join(hex('02'), ascii('hello'), hex('0000'))),
          frame(0, 0, 1, ascii(' there')),
          frame(200, 0xff, 7, ascii('a frame of no known type')),
          frame(3, 0, 1, hex('00000008')),
        ),
      ],
      [
        Side.server,
        join(
          frame(5, END_HEADERS, 1, join(hex('00000002'), hex('4001610162'))),
          frame(1, END_HEADERS, 1, hex('88be')),
        ),
      ],
    ]);
    expect(problem).toBeNull();
    expect(events).toEqual([
      '0 1 :method=CONNECT :authority=10.0.0.1:80',
      '0 1 data hello',
      '0 1 data  there',
      '0 1 reset 8',
      // What the promise added to the table is there, the promise itself is nobody's request.
      '1 1 :status=200 a=b',
    ]);
  });

  it('may be cut anywhere', () => {
    const bytes = join(
      PREFACE,
      frame(1, END_HEADERS, 1, join(connect, authority)),
      frame(0, 0x08, 1, join(hex('01'), ascii('body'), hex('00'))),
      frame(3, 0, 1, hex('00000000')),
    );
    for (let size = 1; size <= bytes.length; size++) {
      const pieces = Array.from(
        { length: Math.ceil(bytes.length / size) },
        (_, i) => [Side.client, bytes.subarray(i * size, (i + 1) * size)] as const,
      );
      const { events, problem } = read(pieces);
      expect(problem).toBeNull();
      expect(events[0]).toBe('0 1 :method=CONNECT :authority=10.0.0.1:80');
      const data = events.filter((event) => event.includes(' data '));
      expect(data.map((event) => event.slice('0 1 data '.length)).join('')).toBe('body');
      expect(events.at(-1)).toBe('0 1 reset 0');
    }
  });

  it.each([
    ['no preface', [ascii('GET / HTTP/1.1\r\n')], /no HTTP\/2/],
    [
      'another frame inside a header block',
      [PREFACE, frame(1, 0, 1, connect), frame(0, 0, 1, connect)],
      /interrupted/,
    ],
    [
      'a continuation of another stream',
      [PREFACE, frame(1, 0, 1, connect), frame(9, 4, 3, connect)],
      /interrupted/,
    ],
    ['a continuation of nothing', [PREFACE, frame(9, 4, 1, connect)], /interrupted/],
    ['an endless header block', [PREFACE, frame(1, 4, 1, new Uint8Array(1 << 17))], /longer than/],
    ['more padding than there is', [PREFACE, frame(1, 0x0c, 1, hex('05 82'))], /padding/],
    ['a block that is no HPACK', [PREFACE, frame(1, 4, 1, hex('80'))], /does not decode/],
  ])('give up at %s', (_, parts, problem) => {
    expect(read([[Side.client, join(...parts)]]).problem).toMatch(problem);
  });

  it('survive anything', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(10), fc.nat(255), fc.nat(4), fc.uint8Array({ maxLength: 40 }))),
        (frames) => {
          const bytes = join(
            PREFACE,
            ...frames.map(([type, flags, stream, body]) => frame(type, flags, stream, body)),
          );
          read([
            [Side.client, bytes],
            [Side.server, bytes],
          ]);
        },
      ),
      { numRuns: 500 },
    );
  });
});
