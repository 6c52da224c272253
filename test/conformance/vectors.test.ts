/**
 * Single packets, public and constructed, with what other tools and the formats say of them.
 *
 * The public ones are from test suites with licences of their own: TUNSCOPE_SHARED names the directory whose
 * `reference/wire-formats.md` has them in section 8, each as a heading (number, link type, lengths) and hexadecimal digits.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { codesOf, type Dissected, dissect, fieldsOf, hex } from '../dissectors/packet.ts';
import { EXPECTED, FIELDS } from './vectors.ts';

const shared = process.env.TUNSCOPE_SHARED;

interface Vector {
  readonly digits: string;
  /** Bytes on the wire, where the capture has fewer. */
  readonly length?: number;
}

function readVectors(directory: string): Map<string, Vector> {
  const text = readFileSync(join(directory, 'reference/wire-formats.md'), 'utf8');
  const vectors = new Map<string, Vector>();
  for (const [, name, heading, digits] of text.matchAll(
    /^\*\*([VC]\d+)[. ](.*)\n(?:[^`\n].*\n)*```\n([0-9a-f]+)\n```/gm,
  )) {
    const length = /caplen \d+, len (\d+)\)/.exec(heading)?.[1];
    vectors.set(name, length === undefined ? { digits } : { digits, length: Number(length) });
  }
  return vectors;
}

const vectors = shared ? readVectors(shared) : new Map<string, Vector>();

/** What the vectors begin with, where that is not Ethernet. */
const ROOTS: Readonly<Record<string, string>> = {
  V11: 'sll',
  V13: 'udp',
  V14: 'udp',
  V21: 'nflog',
  V22: 'sll2',
};

function vector(name: string): Dissected {
  const found = vectors.get(name);
  if (!found) throw new Error(`no vector ${name}`);
  const { digits, ...options } = found;
  return dissect(hex(digits), { root: ROOTS[name] ?? 'eth', ...options });
}

describe.skipIf(!shared)('vectors (TUNSCOPE_SHARED names the directory that has them)', () => {
  it('are all expected', () => {
    expect([...vectors.keys()].sort()).toEqual(Object.keys(EXPECTED).sort());
  });

  it.each(Object.entries(EXPECTED))(
    '%s',
    (name, { protocols, tunnel, options, remarks = [], stop, ports, ...ends }) => {
      const packet = vector(name);
      expect(packet.protocols.join(':')).toBe(protocols);
      expect(packet).toMatchObject({ ...ends, stop: stop ?? null });
      expect(codesOf(packet)).toEqual(remarks);
      if (ports) expect([packet.srcPort, packet.dstPort]).toEqual(ports);
      if (tunnel) {
        const [src, srcPort, dst] = tunnel;
        expect(packet.tunnels[0]).toMatchObject({ src, srcPort, dst });
      }
      if (options) {
        expect(packet.tunnels.at(-1)?.options).toHaveLength(options.length);
        expect(packet.tunnels.at(-1)?.options).toMatchObject(options);
      }
      for (const option of packet.tunnels.flatMap(({ options = [] }) => options))
        expect('fields' in option).toBe(option.name !== null);
    },
  );

  it.each(FIELDS)('%s has the fields of its %s', (name, protocol, fields) => {
    expect(fieldsOf(vector(name), protocol)).toMatchObject(fields);
  });
});
