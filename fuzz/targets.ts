/**
 * What the fuzzer feeds: each target takes any bytes, returns, and throws only where something is wrong. Errors that
 * tunscope has for bad input are caught here; so are none of the others.
 */
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { builtins } from '../dissectors/index.ts';
import { PacketBatch } from '../src/capture/batch.ts';
import { openCapture } from '../src/capture/open.ts';
import { Checker } from '../src/check/checker.ts';
import { ruleSets } from '../src/check/rules/index.ts';
import { Dissector } from '../src/core/dissector.ts';
import { Layers } from '../src/core/layers.ts';
import { FlowRoles, Outline } from '../src/core/outline.ts';
import { Registry } from '../src/core/registry.ts';
import { SecurityAssociation } from '../src/decrypt/esp.ts';
import { KeyLog } from '../src/decrypt/key-log.ts';
import { MacsecKey } from '../src/decrypt/macsec.ts';
import { PacketHeaderReader } from '../src/decrypt/packet-headers.ts';
import { CaptureError, UsageError } from '../src/errors.ts';
import { Catalog, compileFilter, compileReader } from '../src/filter/index.ts';
import { FlowAccounting } from '../src/flow/accounting.ts';
import { FlowRecords } from '../src/flow/records.ts';
import { vniRecords } from '../src/flow/vni.ts';
import { istioPort } from '../src/mesh/geneve-port.ts';
import { PacketJson } from '../src/output/packet-json.ts';
import { packetLine, packetLineText, packetTreeLines } from '../src/output/packet-lines.ts';
import type { Packet } from '../src/pipeline.ts';
import { readDocument } from '../src/plugins/document.ts';
import { guardPlugin } from '../src/plugins/guard.ts';
import { DocumentError } from '../src/plugins/item.ts';
import { buildRegistry } from '../src/registration.ts';

export interface Target {
  readonly name: string;
  /** Whether a capture of the samples is something to begin with, and what of it. */
  seeds(capture: Uint8Array): Promise<Uint8Array[]> | Uint8Array[];
  /** Words that inputs are made of. */
  readonly words?: readonly string[];
  run(input: Uint8Array): Promise<void> | void;
}

function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`broken: ${what}`);
}

const registry = buildRegistry([]).add(istioPort);
const dissector = new Dissector(registry);
const roles = new FlowRoles(registry);
const LINK_TYPES = [1, 0, 9, 50, 101, 108, 113, 228, 229, 239, 276];

/** A batch of frames that all begin alike. */
function batchOf(frames: readonly Uint8Array[], lengths: readonly number[] = []): PacketBatch {
  const bytes = Uint8Array.from(frames.flatMap((frame) => [...frame]));
  const batch = new PacketBatch(bytes, Math.max(1, frames.length));
  let at = 0;
  frames.forEach((frame, i) => {
    batch.offset[i] = at;
    batch.captured[i] = frame.length;
    batch.length[i] = Math.max(frame.length, lengths[i] ?? 0);
    batch.seconds[i] = i >>> 2;
    batch.nanoseconds[i] = (i & 3) * 1e8;
    at += frame.length;
  });
  batch.count = frames.length;
  return batch;
}

const decoder = new TextDecoder();
const json = new PacketJson(dissector, roles);

/** Everything that can be printed of a packet; what must hold of its layers. */
function show(packet: Packet): void {
  const { batch, index, layers, outline } = packet;
  const start = batch.offset[index];
  const end = start + batch.captured[index];
  let before = start;
  for (let i = 0; i < layers.count; i++) {
    const partial = layers.partial && i === layers.count - 1;
    assert(
      layers.start(i) >= before && layers.start(i) <= end,
      `layer ${i} starts in the frame, not before its outer one`,
    );
    assert(layers.endOf(i) <= end && layers.endOf(i) <= layers.limitOf(i), `layer ${i} ends in the frame`);
    if (!partial)
      assert(
        layers.bodyOf(i) >= layers.start(i) && layers.bodyOf(i) <= layers.endOf(i),
        `body of layer ${i}`,
      );
    before = layers.start(i);
  }
  const source = {
    number: 1,
    seconds: 0,
    nanoseconds: 0,
    file: null,
    interface: null,
    linkType: 1,
    comment: null,
  };
  json.write(batch.view, start, layers, outline, {
    ...source,
    length: batch.length[index],
    captured: batch.captured[index],
  });
  JSON.parse(decoder.decode(json.out.take()));
  const line = packetLine(packet, dissector, roles, 0);
  for (const text of [packetLineText(line, 80), ...packetTreeLines(packet, dissector)])
    assert(!/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u.test(text), `neutral text: ${JSON.stringify(text)}`);
}

const layers = new Layers();
const outline = new Outline();

function walked(batch: PacketBatch, index: number, linkType: number): Packet {
  const start = batch.offset[index];
  dissector.walk(
    batch.view,
    start,
    batch.captured[index],
    batch.length[index],
    dissector.root(linkType),
    layers,
  );
  outline.read(layers, roles, start);
  const on = {
    file: null,
    name: null,
    linkType,
    description: null,
    snapLength: 0,
  } as unknown as Packet['interface'];
  return { batch, index, interface: on, layers, outline };
}

/** Frames of a capture, with the number of their link type in front. */
async function framesOf(capture: Uint8Array): Promise<Uint8Array[]> {
  const frames: Uint8Array[] = [];
  const opened = await openCapture('-', { input: Readable.from([Buffer.from(capture)]) });
  for await (const batch of opened) {
    for (let i = 0; i < batch.count; i++) {
      const type = LINK_TYPES.indexOf(opened.interfaces[batch.interfaceIndex[i]].linkType);
      const frame = batch.bytes.subarray(
        batch.offset[i],
        batch.offset[i] + Math.min(batch.captured[i], 1500),
      );
      if (type >= 0) frames.push(Uint8Array.of(type, ...frame));
    }
  }
  return frames;
}

/** Frames out of fuzzed bytes: each behind its length, in two bytes. */
function framesIn(input: Uint8Array): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let at = 0; at + 2 <= input.length && frames.length < 64; ) {
    const size = ((input[at] << 8) | input[at + 1]) & 0x7ff;
    frames.push(input.subarray(at + 2, at + 2 + size));
    at += 2 + size;
  }
  return frames;
}

function joined(frames: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(
    frames.flatMap((frame) => [(frame.length - 1) >>> 8, frame.length - 1, ...frame.subarray(1)]),
  );
}

async function readAll(input: Uint8Array): Promise<void> {
  try {
    const capture = await openCapture('-', { input: Readable.from([Buffer.from(input)]) });
    let packets = 0;
    for await (const batch of capture) {
      for (let i = 0; i < batch.count; i++) {
        assert(
          batch.offset[i] >= 0 && batch.offset[i] + batch.captured[i] <= batch.bytes.length,
          'packet in its block',
        );
        assert(
          batch.interfaceIndex[i] >= 0 && batch.interfaceIndex[i] < capture.interfaces.length,
          'interface there',
        );
        assert(batch.nanoseconds[i] >= 0 && batch.nanoseconds[i] < 1e9, 'nanoseconds in a second');
        assert(Number.isSafeInteger(batch.seconds[i]), 'whole seconds');
      }
      packets += batch.count;
    }
    assert(packets === capture.files[0].packets, 'packets counted');
  } catch (error) {
    if (!(error instanceof CaptureError)) throw error;
  }
}

const isPcapng = (capture: Uint8Array) => capture[0] === 0x0a;
const small = (capture: Uint8Array) =>
  capture.length < 1 << 14 ? [capture] : [capture.subarray(0, 1 << 12)];

/** Bytes as an uncompressed zstd frame. */
function zstdRaw(bytes: Uint8Array): Uint8Array {
  const size = Math.min(bytes.length, 1 << 16);
  const header = (size << 3) | 1;
  const block = [header & 255, (header >> 8) & 255, header >> 16];
  return Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, ...block, ...bytes.subarray(0, size));
}
/** Bytes as an uncompressed lz4 frame without checksums. */
function lz4Raw(bytes: Uint8Array): Uint8Array {
  const size = Math.min(bytes.length, 1 << 16);
  const block = [size & 255, (size >> 8) & 255, size >> 16, 0x80];
  // The checksum of this header (xxHash32, second byte) is 0x82.
  return Uint8Array.of(
    0x04,
    0x22,
    0x4d,
    0x18,
    0x60,
    0x40,
    0x82,
    ...block,
    ...bytes.subarray(0, size),
    0,
    0,
    0,
    0,
  );
}

/** Runs what takes text; what it refuses is refused with a `UsageError`. */
function parses(parse: (text: string) => unknown): (input: Uint8Array) => void {
  return (input) => {
    try {
      parse(decoder.decode(input));
    } catch (error) {
      if (!(error instanceof UsageError || error instanceof DocumentError)) throw error;
    }
  };
}
const texts =
  (...list: readonly string[]) =>
  () =>
    list.map((text) => new TextEncoder().encode(text));

const catalog = new Catalog(registry);
/** Something that fields and filters find something in: Geneve with an option around TCP. */
const SPECIMEN = Buffer.from(
  '0200000000020200000000010800450000760000000040110000c0000201c0000202c350' +
    '17c1006200000240655800000700010280010001000202000000000402000000000308004500003000000000400600000a0000010a000002' +
    '1f909c400000000100000000500210000000000068656c6c6f000000',
  'hex',
);

export const TARGETS: readonly Target[] = [
  { name: 'pcap', seeds: (capture) => (isPcapng(capture) ? [] : small(capture)), run: readAll },
  { name: 'pcapng', seeds: (capture) => (isPcapng(capture) ? small(capture) : []), run: readAll },
  {
    name: 'compressed',
    seeds: (capture) => small(capture).flatMap((bytes) => [gzipSync(bytes), zstdRaw(bytes), lz4Raw(bytes)]),
    run: readAll,
  },
  {
    name: 'frame',
    seeds: framesOf,
    run(input) {
      if (input.length < 1) return;
      const linkType = LINK_TYPES[input[0] % LINK_TYPES.length];
      // Half of them are cut by the capture.
      const length = input[0] & 0x80 ? input.length + 100 : 0;
      show(walked(batchOf([input.subarray(1)], [length]), 0, linkType));
    },
  },
  {
    name: 'flows',
    seeds: async (capture) => {
      const frames = (await framesOf(capture)).filter((frame) => frame[0] === 0);
      return frames.length === 0 ? [] : [joined(frames.slice(0, 20))];
    },
    /** The walk of plain packets and the general one agree. */
    run(input) {
      const batch = batchOf(framesIn(input));
      const roots = Int32Array.of(dissector.root(1));
      const results = [true, false].map((fast) => {
        const accounting = new FlowAccounting(dissector, roles);
        const stops = new Float64Array(6);
        for (let i = 0; i < batch.count; i++) {
          if (fast) i = accounting.take(batch, i, batch.count, roots, stops);
          if (i < batch.count) accounting.packet(walked(batch, i, 1));
        }
        const records = new FlowRecords(accounting);
        return JSON.stringify([records.ids().map((id) => records.record(id)), vniRecords(accounting)]);
      });
      assert(results[0] === results[1], 'both walks agree');
    },
  },
  {
    name: 'check',
    seeds: async (capture) => {
      const frames = (await framesOf(capture)).filter((frame) => frame[0] === 0);
      return frames.length === 0 ? [] : [joined(frames.slice(0, 40))];
    },
    async run(input) {
      const batch = batchOf(framesIn(input));
      const on = walked(batchOf([new Uint8Array(14)]), 0, 1).interface;
      const checker = new Checker({ dissector, roles, interfaces: [on] }, ruleSets);
      for (let i = 0; i < batch.count; i++) checker.packet(walked(batch, i, 1));
      await checker.end();
      JSON.stringify([checker.scene.findings.records(), checker.tunnels()]);
    },
  },
  {
    name: 'tls',
    seeds: async (capture) => {
      const frames = (await framesOf(capture)).filter((frame) => frame[0] === 0);
      return frames.length === 0 ? [] : [joined(frames.slice(0, 60))];
    },
    run(input) {
      const batch = batchOf(framesIn(input));
      const reader = new PacketHeaderReader(dissector, roles, new KeyLog());
      for (let i = 0; i < batch.count; i++) JSON.stringify(reader.records(walked(batch, i, 1)));
    },
  },
  {
    name: 'filter',
    seeds: texts(
      'geneve.vni == 1000 and not (ip.src == 10.0.0.0/8 or tcp.flags.syn)',
      'eth.src[0:3] == 00:16:3e && frame.len > 60',
      'ip.src#2 in {10.0.0.1, 10.0.0.3 .. 10.0.0.9} || inner.tcp.port != 80',
      'tcp.port matches "^8" xor dns.qry.name contains "kube"',
      'ovn.egress_port == 5 and tunnel[1].geneve.option and all udp.port >= 0x17c1',
    ),
    words:
      'and or not xor == != <= >= contains matches in { } ( ) [ ] : # .. ip.src geneve.vni tcp.port frame inner. outer. tunnel[0]. any all " \\x'.split(
        ' ',
      ),
    run: parses((text) => {
      const filter = compileFilter(text, catalog, roles);
      filter.matches(walked(batchOf([SPECIMEN]), 0, 1));
    }),
  },
  {
    name: 'field',
    seeds: texts('geneve.vni', 'inner.ip.src', 'tunnel[0].udp.port', 'ip.src#2', 'option:ovn.egress_port'),
    words: 'ip.src geneve.vni inner. outer. tunnel[0]. # [ ] : option:'.split(' '),
    run: parses((text) => compileReader(text, catalog, roles)),
  },
  {
    name: 'plugin',
    seeds: texts(
      '{"plugin":1,"name":"acme","options":[{"name":"acme.tenant","title":"T","reference":"R","class":"0xff20","type":1,"length":8,"fields":[{"name":"acme.tenant.id","title":"I","offset":0,"width":4,"format":"hex"},{"name":"acme.tenant.zone","title":"Z","offset":6,"width":2,"mask":"0xf0","enum":{"1":"core"}}]}]}',
      '{"plugin":1,"name":"acme","protocols":[{"name":"acmetun","title":"T","reference":"R","on":{"udp.port":[9999]},"length":8,"fields":[{"name":"acmetun.type","title":"T","offset":0,"width":2}],"next":{"field":"acmetun.type","table":"ethertype"}}]}',
    ),
    words:
      '"name" "title" "class" "type" "length" "fields" "offset" "width" "mask" "format" "enum" "groups" "rest" "on" "next" "tunnel" {} [] null -1 1e99 65536'.split(
        ' ',
      ),
    run: parses((text) => {
      let value: unknown;
      try {
        value = JSON.parse(text);
      } catch {
        return;
      }
      const plugin = guardPlugin(
        readDocument(value, { tables: new Set(registry.tables), families: new Set(['geneve.option']) }),
      );
      const all = new Registry().add(builtins).add(plugin);
      const own = new Dissector(all);
      own.walk(
        new DataView(SPECIMEN.buffer, SPECIMEN.byteOffset, SPECIMEN.length),
        0,
        SPECIMEN.length,
        SPECIMEN.length,
        own.root(1),
        layers,
      );
    }),
  },
  {
    name: 'keys',
    seeds: texts(
      `CLIENT_TRAFFIC_SECRET_0 ${'ab'.repeat(32)} ${'cd'.repeat(48)}\n# comment\nSERVER_TRAFFIC_SECRET_0 ${'ab'.repeat(32)} ${'cd'.repeat(32)}`,
      'spi=0x1001,aes-gcm=000102030405060708090a0b0c0d0e0f00000000,dst=10.0.0.1',
      'spi=7,null,hmac-sha256=000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f,icv=16',
      'key=000102030405060708090a0b0c0d0e0f,sci=0200000000010001,an=0',
    ),
    words:
      'spi= aes-gcm= dst= null hmac-sha256= icv= key= sci= an= , 0x : CLIENT_HANDSHAKE_TRAFFIC_SECRET'.split(
        ' ',
      ),
    run: parses((text) => {
      new KeyLog().add(text);
      for (const kind of [SecurityAssociation, MacsecKey]) {
        try {
          kind.parse(text);
        } catch (error) {
          if (!(error instanceof UsageError)) throw error;
        }
      }
    }),
  },
  {
    name: 'decode-as',
    seeds: texts('udp.port==6082,geneve', 'tcp.port==8443,tls', 'ethertype==2048,ip'),
    words: 'udp.port tcp.port ethertype == , geneve vxlan 65536 4294967296'.split(' '),
    run: parses((text) => buildRegistry([text])),
  },
];
