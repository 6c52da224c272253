/**
 * User Datagram Protocol (RFC 768).
 *
 *   | source port 16 | destination port 16 | length 16 | checksum 16 |
 */
import { u16 } from '../src/core/field.ts';
import { Stop } from '../src/core/layers.ts';
import { defineProtocol, table } from '../src/core/protocol.ts';

const udpPort = table('udp.port');

export const sourcePort = u16('udp.srcport', 'Source Port', 0);
export const destinationPort = u16('udp.dstport', 'Destination Port', 2);
export const length = u16('udp.length', 'Length', 4);
export const checksum = u16('udp.checksum', 'Checksum', 6, { base: 'hex' });

export const udp = defineProtocol({
  name: 'udp',
  title: 'User Datagram Protocol',
  reference: 'RFC 768',
  fields: [sourcePort, destinationPort, length, checksum],
  minLength: 8,
  on: [['ip.proto', 17]],
  step(view, start, layers) {
    const claimed = length.read(view, start);
    // 0: larger than 65535 (RFC 2675 section 4) or not filled in before segmentation offload.
    if (claimed !== 0) {
      if (claimed < 8) {
        layers.stop = Stop.malformed;
        return;
      }
      layers.trim(start + claimed);
    }
    layers.next(udpPort, destinationPort.read(view, start));
    layers.otherKey = sourcePort.read(view, start);
  },
  plain: { total: { field: length }, next: { ports: udpPort } },
  details(out) {
    const claimed = length.read(out.view, out.start);
    if (claimed === 0) {
      out.remark(
        'udp.length-zero',
        'note',
        out.start + 4,
        2,
        'length 0: segmentation offload, the captured length is used',
      );
    } else if (claimed > out.limit - out.start) {
      out.remark(
        'udp.length-beyond',
        'warning',
        out.start + 4,
        2,
        `length ${claimed} is more than the ${out.limit - out.start} bytes IP gives it`,
      );
    }
  },
  flow: { ports: [sourcePort, destinationPort] },
});
