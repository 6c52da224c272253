/** The npm package pcap-parser with plain decoding and string keys: how flows are usually counted in JavaScript. */
import pcap from 'pcap-parser';

const flows = new Map();
let packets = 0;
const parser = pcap.parse(process.argv[2]);
parser.on('packet', ({ data }) => {
  packets++;
  const key = innerKey(data);
  const flow = flows.get(key);
  if (flow) {
    flow.packets++;
    flow.bytes += data.length;
  } else {
    flows.set(key, { packets: 1, bytes: data.length });
  }
});
parser.on('end', () => process.stdout.write(`${packets} packets, ${flows.size} directed flows\n`));

function innerKey(data) {
  let at = 14;
  let path = '';
  for (;;) {
    if (data.readUInt16BE(at - 2) !== 0x0800) return `${path}other`;
    const protocol = data[at + 9];
    const transport = at + (data[at] & 15) * 4;
    const destinationPort = data.readUInt16BE(transport + 2);
    const source = data.subarray(at + 12, at + 16).join('.');
    const destination = data.subarray(at + 16, at + 20).join('.');
    if (protocol === 17 && (destinationPort === 6081 || destinationPort === 4789)) {
      const header = transport + 8;
      path += `${destinationPort}/${data.readUIntBE(header + 4, 3)} `;
      at = header + 8 + (destinationPort === 6081 ? (data[header] & 63) * 4 : 0) + 14;
      continue;
    }
    return `${path}${protocol} ${source}:${data.readUInt16BE(transport)} ${destination}:${destinationPort}`;
  }
}
