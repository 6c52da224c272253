// Files that are broken, not packets: everything before the damage must still be read.
import { bytes } from '../lib/bytes.mjs';
import { block, pcap, pcapng, rows } from '../lib/capture.mjs';
import { overGeneve } from '../lib/tunnel.mjs';
import { pingFrame, restart } from './parts.mjs';

// A dozen good records first: with fewer, programs that guess among pcap dialects guess wrong.
const good = (count) =>
  Array.from({ length: count }, (_, i) => ({ data: overGeneve({ vni: 100 + i }, pingFrame()) }));

const cut = () => {
  restart();
  const whole = pcap(good(13));
  return whole.subarray(0, whole.length - 50); // the last record says 108 bytes, 58 are there
};

const wrongLength = () => {
  restart();
  const frames = rows(good(5).map(({ data }, i) => [`good packet ${i + 1} of 5`, data]));
  const bad = bytes(block(6, bytes(overGeneve({ vni: 99 }, pingFrame()))));
  bad.writeUInt32LE(7, 4); // no block is shorter than 12 bytes
  return bytes([pcapng(frames), bad]);
};

export default () => ({ 'damaged-cut.pcap': cut(), 'damaged-length.pcapng': wrongLength() });
