import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { openCaptures } from '../../src/capture/open.ts';
import {
  enhancedPacket,
  interfaceDescription,
  join,
  option,
  pcapHeader,
  pcapRecord,
  readAll,
  sectionHeader,
  text,
} from './bytes.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tunscope-'));
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, bytes: Uint8Array): string {
  const file = path.join(folder, name);
  writeFileSync(file, bytes);
  return file;
}

interface Packet {
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly size: number;
}

/** Which file's packet comes next, again and again: the definition of the merge, without its speed. */
function mergeOrder(files: readonly (readonly Packet[])[]): (readonly [file: number, number: number])[] {
  const at = files.map(() => 0);
  const order: [number, number][] = [];
  for (;;) {
    let first = -1;
    for (const [i, packets] of files.entries()) {
      const packet = packets[at[i]];
      const best = files[first]?.[at[first]];
      if (packet === undefined) continue;
      const before =
        best === undefined ||
        packet.seconds < best.seconds ||
        (packet.seconds === best.seconds && packet.nanoseconds < best.nanoseconds);
      if (before) first = i;
    }
    if (first < 0) return order;
    order.push([first, ++at[first]]);
  }
}

describe('merge', () => {
  it('goes by time, then by argument, and keeps the order of each file', async () => {
    const packet = fc.record({ seconds: fc.nat(3), nanoseconds: fc.nat(3), size: fc.nat(100) });
    const files = fc.array(fc.array(packet, { maxLength: 40 }), { minLength: 2, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(files, fc.integer({ min: 20, max: 3000 }), async (contents, blockSize) => {
        const paths = contents.map((packets, i) => {
          const records = packets.map(({ seconds, nanoseconds, size }, number) =>
            pcapRecord(seconds, nanoseconds, new Uint8Array(size).fill(number), { length: size + i }),
          );
          return write(`${i}.pcap`, join(pcapHeader({ magic: 0xa1b23c4d }), ...records));
        });
        const capture = await openCaptures(paths, { blockSize });
        const seen = await readAll(capture);
        const expected = mergeOrder(contents).map(([file, number]) => {
          const { seconds, nanoseconds, size } = contents[file][number - 1];
          const data = Buffer.alloc(size, number - 1).toString('hex');
          return {
            file: paths[file],
            number,
            time: `${seconds}.00000000${nanoseconds}`,
            length: size + file,
            data,
          };
        });
        expect(
          seen.map(({ interfaceIndex, ...rest }) => ({
            file: capture.interfaces[interfaceIndex].file,
            ...rest,
          })),
        ).toEqual(expected);
        expect(capture.files).toEqual(
          paths.map((file, i) => ({
            file,
            format: 'pcap',
            compression: null,
            packets: contents[i].length,
            damage: null,
          })),
        );
      }),
      { numRuns: 60 },
    );
  });

  it('takes runs larger than a batch, and packets larger than its block', async () => {
    const small = Array.from({ length: 10_000 }, (_, i) => pcapRecord(i, 0, text('x')));
    const large = new Uint8Array(3_000_000).fill(1);
    const capture = await openCaptures([
      write('small.pcap', join(pcapHeader(), ...small)),
      write('large.pcap', join(pcapHeader(), pcapRecord(5000, 0, large), pcapRecord(5000, 1, large))),
    ]);
    const seen = await readAll(capture);
    expect(seen.map((packet) => packet.length)).toEqual([
      ...new Array(5001).fill(1),
      3_000_000,
      3_000_000,
      ...new Array(4999).fill(1),
    ]);
    expect(seen[5002].data).toBe('01'.repeat(3_000_000));
  });

  it('shares one list of interfaces, and keeps comments', async () => {
    const section = join(sectionHeader(), interfaceDescription([option(2, text('eth0'))]));
    const comment = { options: [option(1, text('here'))] };
    const paths = [
      write('a.pcapng', join(section, enhancedPacket(0, 2n, text('a'), comment))),
      write('b.pcapng', join(section, section, enhancedPacket(0, 1n, text('b')))),
    ];
    const capture = await openCaptures(paths);
    const seen = await readAll(capture);
    expect(
      seen.map(({ data, comment, interfaceIndex }) => [
        data,
        comment,
        capture.interfaces[interfaceIndex].file,
      ]),
    ).toEqual([
      ['62', undefined, paths[1]],
      ['61', 'here', paths[0]],
    ]);
    expect(capture.interfaces.map((entry) => entry.name)).toEqual(['eth0', 'eth0', 'eth0']);
  });

  it('ends a damaged file early, not the others', async () => {
    const good = join(pcapHeader(), pcapRecord(1, 0, text('a')), pcapRecord(3, 0, text('a')));
    const paths = [
      write('cut.pcap', good.subarray(0, good.length - 1)),
      write('empty.pcap', text('')),
      write('good.pcap', good),
    ];
    const capture = await openCaptures(paths);
    expect((await readAll(capture)).map((packet) => packet.number)).toEqual([1, 1, 2]);
    expect(capture.files.map((file) => file.damage)).toEqual([
      { file: paths[0], offset: 41, text: 'packet data cut: 1 bytes announced, 0 there' },
      { file: paths[1], offset: 0, text: 'empty file' },
      null,
    ]);
  });

  it('is refused where one file cannot be opened', async () => {
    const good = write('fine.pcap', pcapHeader());
    await expect(openCaptures([good, path.join(folder, 'missing')])).rejects.toThrow('missing: no such file');
  });

  it('of one file is that file', async () => {
    const file = write('one.pcap', join(pcapHeader(), pcapRecord(1, 0, text('a'))));
    const capture = await openCaptures([file]);
    expect((await capture.next())?.numbers).toBeNull();
    await capture.close();
  });
});
