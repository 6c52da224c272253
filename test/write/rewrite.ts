/** Captures written into memory, and read again. */
import type { Capture } from '../../src/capture/capture.ts';
import { CaptureWriter } from '../../src/capture/capture-writer.ts';
import { DecapWriter } from '../../src/capture/decap-writer.ts';
import type { Destination } from '../../src/capture/destination.ts';
import { Dissector } from '../../src/core/dissector.ts';
import { FlowRoles } from '../../src/core/outline.ts';
import { Registry } from '../../src/core/registry.ts';
import { builtins, type DecapOptions, run } from '../../src/index.ts';
import { readAll } from '../capture/bytes.ts';

export class MemoryDestination implements Destination {
  bytes: Uint8Array = new Uint8Array(0);
  completed = false;

  async write(bytes: Uint8Array): Promise<void> {
    this.bytes = Buffer.concat([this.bytes, bytes]);
  }

  async complete(): Promise<void> {
    this.completed = true;
  }

  async abandon(): Promise<null> {
    return null;
  }
}

const dissector = new Dissector(new Registry().add(builtins));
const roles = new FlowRoles(dissector.registry);

/** The capture as `-w` writes it. */
export async function rewrite(capture: Capture): Promise<Uint8Array> {
  const destination = new MemoryDestination();
  const writer = new CaptureWriter(capture, destination);
  for await (const batch of capture) {
    for (let i = 0; i < batch.count; i++) writer.packet(batch, i);
    await writer.flush();
  }
  await writer.complete();
  return destination.bytes;
}

/** The capture as `-w --decap` writes it. */
export async function decap(capture: Capture, options?: DecapOptions) {
  const destination = new MemoryDestination();
  const writer = new DecapWriter(capture, roles, destination, options);
  await run(capture, dissector, roles, {
    packet: ({ batch, index, layers, outline }) => writer.packet(batch, index, layers, outline),
    flush: () => writer.flush(),
    end: () => writer.complete(),
  });
  return { bytes: destination.bytes, leftOut: writer.leftOut, crowded: writer.crowded };
}

/** Everything that a capture says, as it is read. */
export async function contents(capture: Capture) {
  const packets = await readAll(capture);
  const interfaces = capture.interfaces.map(
    ({ linkType, name, description, snapLength, littleEndian, statistics }) => ({
      linkType,
      name,
      description,
      snapLength,
      littleEndian,
      statistics,
    }),
  );
  return { packets, interfaces, names: [...capture.names], damage: capture.files[0].damage };
}
