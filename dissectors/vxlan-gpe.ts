/**
 * VXLAN Generic Protocol Extension (draft-ietf-nvo3-vxlan-gpe-12 section 3).
 *
 *    0                   1                   2                   3
 *   |R|R|Ver|I|P|B|O|       Reserved                |Next Protocol  |
 *   |        VXLAN Network Identifier (VNI)         |   Reserved    |
 *
 * I: the VNI is valid, P: the next protocol is, B: the frame was flooded (BUM), O: a control message.
 */
import { u8, u16, u24 } from '../src/core/field.ts';
import { Stop } from '../src/core/layers.ts';
import { type Details, defineProtocol, table } from '../src/core/protocol.ts';

const nextTable = table('vxlan.next_proto');
const ETHERNET = 3;
const HEADER = 8;

const flags = u8('vxlan.flags', 'Flags', 0, { base: 'hex' });
const reservedFlags = u8('vxlan.flags_reserved', 'Reserved(R)', 0, { mask: 0xc0 });
const version = u8('vxlan.ver', 'Version', 0, { mask: 0x30 });
const instance = u8('vxlan.i_bit', 'Instance', 0, { mask: 0x08 });
const nextProtocolBit = u8('vxlan.p_bit', 'Next Protocol Bit', 0, { mask: 0x04 });
/** Wireshark has no field for it. */
const flooded = u8('vxlan.b_bit', 'BUM bit', 0, { mask: 0x02 });
const oam = u8('vxlan.o_bit', 'OAM bit', 0, { mask: 0x01 });
const reserved16 = u16('vxlan.reserved_16', 'Reserved', 1);
const nextProtocol = u8('vxlan.next_proto', 'Next Protocol', 3, {
  values: { 1: 'IPv4', 2: 'IPv6', 3: 'Ethernet', 4: 'NSH', 5: 'MPLS' },
});
const vni = u24('vxlan.vni', 'VXLAN Network Identifier (VNI)', 4);
const reserved8 = u8('vxlan.reserved8', 'Reserved', 7);

function details(out: Details): void {
  const { view, start } = out;
  if (version.read(view, start) !== 0) {
    out.remark(
      'vxlan_gpe.version',
      'error',
      start,
      1,
      `version ${version.read(view, start)} is unknown: endpoints drop the packet`,
    );
    return;
  }
  if (instance.read(view, start) === 0) {
    out.remark('vxlan_gpe.i-clear', 'warning', start, 1, 'the I bit is clear: the VNI is not valid');
  }
  if (nextProtocolBit.read(view, start) === 0) {
    out.remark(
      'vxlan_gpe.p-clear',
      'note',
      start,
      1,
      'the P bit is clear: as in VXLAN, the payload is Ethernet',
    );
  }
  if (oam.read(view, start) === 1) {
    out.remark(
      'vxlan_gpe.oam',
      'note',
      start,
      1,
      'O bit: a control message, its payload is not tenant traffic',
    );
  }
  if (
    reservedFlags.read(view, start) !== 0 ||
    reserved16.read(view, start) !== 0 ||
    reserved8.read(view, start) !== 0
  ) {
    out.remark(
      'vxlan_gpe.reserved',
      'note',
      start,
      HEADER,
      'reserved bits of the header are set; receivers ignore them',
    );
  }
}

export const vxlanGpe = defineProtocol({
  name: 'vxlan_gpe',
  title: 'Virtual eXtensible Local Area Network (GPE)',
  reference: 'draft-ietf-nvo3-vxlan-gpe-12',
  fields: [
    flags,
    reservedFlags,
    version,
    instance,
    nextProtocolBit,
    flooded,
    oam,
    reserved16,
    nextProtocol,
    vni,
    reserved8,
  ],
  minLength: HEADER,
  on: [['udp.port', 4790]],
  step(view, start, layers) {
    if (version.read(view, start) !== 0) {
      layers.stop = Stop.unknown;
      return;
    }
    layers.next(
      nextTable,
      nextProtocolBit.read(view, start) === 1 ? nextProtocol.read(view, start) : ETHERNET,
    );
  },
  details,
  // Nothing but the source port speaks for it: only what every sender sets, and a payload that is defined.
  plausible: (view, start, end) =>
    end - start > HEADER &&
    (flags.read(view, start) & ~0x03) === 0x0c &&
    reserved16.read(view, start) === 0 &&
    reserved8.read(view, start) === 0 &&
    nextProtocol.read(view, start) >= 1 &&
    nextProtocol.read(view, start) <= 5,
  flow: {
    tunnel: {
      name: 'vxlan-gpe',
      vni: (view, start) => (instance.read(view, start) === 1 ? vni.read(view, start) : -1),
    },
  },
});
