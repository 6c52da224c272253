/**
 * Virtual eXtensible Local Area Network (RFC 7348 section 5) with group policy (draft-smith-vxlan-group-policy).
 *
 *    0                   1                   2                   3
 *   |G|R|R|R|I|R|R|R|R|D|R|R|A|R|R|R|        Group Policy ID        |
 *   |        VXLAN Network Identifier (VNI)         |   Reserved    |
 *
 * Plain VXLAN has no bit but I. The payload is an Ethernet frame, whatever the flags.
 */
import { flag, u8, u16, u24 } from '../src/core/field.ts';
import { type Details, defineProtocol, table } from '../src/core/protocol.ts';
import { etherTypeName } from './names/ethertypes.ts';

const etherType = table('ethertype');
const ETHERNET = 0x6558;
const HEADER = 8;

const flags = u16('vxlan.flags', 'Flags', 0, { base: 'hex' });
const policy = flag('vxlan.flag_g', 'GBP Extension', 0, 0x8000, 2);
export const instance = flag('vxlan.flag_i', 'VXLAN Network ID (VNI)', 0, 0x0800, 2);
const dontLearn = flag('vxlan.flag_d', "Don't Learn", 0, 0x0040, 2);
const applied = flag('vxlan.flag_a', 'Policy Applied', 0, 0x0008, 2);
const reservedFlags = u16('vxlan.flags_reserved', 'Reserved(R)', 0, {
  mask: 0x77b7,
  show: (bits) => `0x${bits.toString(16)}`,
});
const group = u16('vxlan.gbp', 'Group Policy ID', 2);
export const vni = u24('vxlan.vni', 'VXLAN Network Identifier (VNI)', 4);
const reserved = u8('vxlan.reserved8', 'Reserved', 7);

function details(out: Details): void {
  const { view, start } = out;
  if (!instance.read(view, start)) {
    out.remark(
      'vxlan.i-clear',
      'warning',
      start,
      1,
      'the I bit is clear: the VNI is not valid (RFC 7348 section 5)',
    );
  }
  if (
    !policy.read(view, start) &&
    (group.read(view, start) !== 0 || dontLearn.read(view, start) || applied.read(view, start))
  ) {
    out.remark(
      'vxlan.gbp-without-g',
      'note',
      start + 1,
      3,
      'group policy bits without the G bit: plain reserved bits, receivers ignore them',
    );
  }
  if (reservedFlags.read(view, start) !== 0 || reserved.read(view, start) !== 0) {
    out.remark(
      'vxlan.reserved',
      'note',
      start,
      HEADER,
      'reserved bits of the header are set; receivers ignore them',
    );
  }
}

export const vxlan = defineProtocol({
  name: 'vxlan',
  title: 'Virtual eXtensible Local Area Network',
  reference: 'RFC 7348',
  fields: [flags, policy, instance, dontLearn, applied, reservedFlags, group, vni, reserved],
  minLength: HEADER,
  on: [
    ['udp.port', 4789],
    ['udp.port', 8472], // Linux before the IANA assignment, and still its default: flannel, Cilium
  ],
  step(_view, _start, layers) {
    layers.next(etherType, ETHERNET);
  },
  plain: { is: [[instance, 1]], next: { table: etherType, key: ETHERNET }, vni },
  details,
  // Section 5: a source port of 4789 alone is a client's chance. Nothing may be set that VXLAN and GBP leave reserved.
  plausible: (view, start, end) =>
    end - start >= HEADER + 14 &&
    instance.read(view, start) &&
    reservedFlags.read(view, start) === 0 &&
    reserved.read(view, start) === 0 &&
    (policy.read(view, start) || (flags.read(view, start) === 0x0800 && group.read(view, start) === 0)) &&
    isFrame(view, start + HEADER),
  flow: {
    tunnel: {
      name: 'vxlan',
      vni: (view, start) => (instance.read(view, start) ? vni.read(view, start) : -1),
    },
  },
});

/** The type of the Ethernet header at `start` is a length or has a name. */
function isFrame(view: DataView, start: number): boolean {
  const type = view.getUint16(start + 12);
  return type <= 1500 || etherTypeName(type) !== undefined;
}
