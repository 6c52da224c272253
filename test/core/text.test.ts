/** Texts of addresses: those made of late are kept, and must not be taken for others. */
import { describe, expect, it } from 'vitest';
import { ipv4WordText, ipv6WordsText, macText } from '../../src/core/text.ts';

/** Numbers that repeat, and that share slots of what is kept. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const small = (state >>> 8) % 29;
    return state >>> 30 === 0 ? state : small << ((state >>> 5) % 3 === 0 ? 16 : 0);
  };
}

describe('texts of addresses', () => {
  it('are those of the WHATWG URL parser for IPv6, whatever came before', () => {
    const next = numbers(1);
    for (let i = 0; i < 20_000; i++) {
      const words = [next(), next(), next(), next()] as const;
      const [a, b, c] = words;
      if (a === 0 && b === 0 && c === 0xffff) continue; // the URL parser does not know RFC 5952 section 5
      const groups = words.flatMap((word) => [word >>> 16, word & 0xffff]).map((group) => group.toString(16));
      const { hostname } = new URL(`http://[${groups.join(':')}]/`);
      if (ipv6WordsText(...words) !== hostname.slice(1, -1))
        expect(ipv6WordsText(...words), `of ${groups.join(':')}`).toBe(hostname.slice(1, -1));
    }
    expect(ipv6WordsText(0, 0, 0xffff, 0xc0000201)).toBe('::ffff:192.0.2.1');
  });

  it('are not those of an address that has the same words elsewhere', () => {
    const hex = (word: number) => word.toString(16);
    for (let b = 1; b < 120; b++) {
      for (let c = 1; c < 120; c++) {
        expect(ipv6WordsText(1, b, c, 1)).toBe(`0:1:0:${hex(b)}:0:${hex(c)}:0:1`);
        expect(ipv6WordsText(1, c, 0, 1)).toBe(`0:1:0:${hex(c)}::1`);
        expect(ipv6WordsText(1, 0, b, 1)).toBe(`0:1::${hex(b)}:0:1`);
      }
    }
  });

  it('are those of the URL parser for IPv4', () => {
    const next = numbers(2);
    for (let i = 0; i < 20_000; i++) {
      const word = next();
      expect(ipv4WordText(word | 0)).toBe(new URL(`http://${word}/`).hostname);
    }
  });

  it('tell MAC addresses apart by each byte', () => {
    const next = numbers(3);
    for (let i = 0; i < 20_000; i++) {
      const bytes = Buffer.alloc(6);
      bytes.writeUInt16BE(next() & 0xffff);
      bytes.writeUInt32BE(next(), 2);
      const view = new DataView(bytes.buffer, bytes.byteOffset, 6);
      expect(macText(view, 0).replaceAll(':', '')).toBe(bytes.toString('hex'));
    }
  });
});
