// Tunnel headers: Geneve, VXLAN with its GBP and GPE forms, GRE with its users, STT.
import { bytes, cat, inetSum, layer, u8, u16, u24, u32, u64, zeros } from './bytes.mjs';
import { ip, udp } from './ip.mjs';
import { eth } from './link.mjs';

/** Geneve option, RFC 8926 section 3.5. `words` forces the length field, `reserved` the three R bits. */
export const option = (cls, type, data = zeros(0), { words, reserved = 0 } = {}) => ({
  critical: type >= 0x80,
  wire: cat(u16(cls), u8(type), u8((reserved << 5) | (words ?? data.length / 4)), data),
});

/** Geneve, RFC 8926 section 3.4. The C bit follows the options unless `critical` is given. */
export const geneve = (
  { vni, options = [], version = 0, oam = 0, critical, reserved = 0, reserved2 = 0, words, proto },
  payload,
) =>
  layer({}, () => {
    const opts = cat(...options.map((o) => o.wire));
    const c = critical ?? (options.some((o) => o.critical) ? 1 : 0);
    return cat(
      u8((version << 6) | (words ?? opts.length / 4)),
      u8((oam << 7) | (c << 6) | reserved),
      u16(proto ?? payload?.ether ?? 0x6558),
      u24(vni),
      u8(reserved2),
      opts,
      bytes(payload),
    );
  });

/** VXLAN, RFC 7348 section 5. Bytes 1 to 3 are reserved there; GBP and GPE give them a meaning. */
export const vxlan = ({ vni, flags = 0x08, byte1 = 0, word = 0, last = 0 }, payload) =>
  layer({}, () => cat(u8(flags), u8(byte1), u16(word), u24(vni), u8(last), bytes(payload)));

/** Group Based Policy: G in byte 0, D and A in byte 1, the group in bytes 2 and 3. */
export const gbp = ({ vni, group, dontLearn = 0, applied = 0 }, payload) =>
  vxlan({ vni, flags: 0x88, byte1: (dontLearn << 6) | (applied << 3), word: group }, payload);

/** VXLAN-GPE: version, P and O bits in byte 0, next protocol in byte 3. */
const gpeNext = { 2048: 1, 34525: 2, 25944: 3, 35151: 4, 34887: 5 };
export const gpe = ({ vni, next, version = 0, p = 1, oam = 0 }, payload) =>
  vxlan(
    { vni, flags: 0x08 | (version << 4) | (p << 2) | oam, word: next ?? gpeNext[payload?.ether] },
    payload,
  );

/** GRE, RFC 2784 and 2890: checksum, key and sequence are all optional. */
export const gre = ({ proto, checksum = false, key, seq }, payload) =>
  layer({ ip: 47 }, () => {
    const flags =
      (checksum ? 0x8000 : 0) | (key === undefined ? 0 : 0x2000) | (seq === undefined ? 0 : 0x1000);
    const body = bytes(payload);
    const head = (check) =>
      cat(
        u16(flags),
        u16(proto ?? payload.ether),
        checksum ? cat(u16(check), u16(0)) : null,
        key === undefined ? null : u32(key),
        seq === undefined ? null : u32(seq),
      );
    return cat(head(inetSum(head(0), body)), body);
  });

/** NVGRE, RFC 7637: GRE whose key is a 24-bit subnet id and an 8-bit flow id. */
export const nvgre = ({ vsid, flow = 0 }, payload) => gre({ key: vsid * 256 + flow }, payload);

/** ERSPAN type II header: version 1, VLAN, session id; a GRE sequence number is always there. */
export const erspan2 = ({ session, vlan = 0, index = 0, seq }, frame) =>
  gre({ proto: 0x88be, seq }, cat(u16(0x1000 | vlan), u16(session), u32(index), bytes(frame)));
/** ERSPAN type I: no header of its own, the mirrored frame follows GRE directly. */
export const erspan1 = (frame) => gre({ proto: 0x88be }, bytes(frame));

// ------------------------------------------------------------------ the usual outer headers
export const nodes4 = { src: '192.0.2.1', dst: '192.0.2.2' };
export const nodes6 = { src: '2001:db8::1', dst: '2001:db8::2' };

/**
 * Ethernet/IP/UDP around a tunnel header. Over IPv4 the UDP checksum is zero unless `sum` is 'good' (or a number),
 * as most encapsulators send it; over IPv6 it is computed.
 */
export function over(tunnel, { dport, sport = 50000, sum, nodes = nodes4, macs, ...ipFields }) {
  const computed = sum === 'good' || (sum === undefined && nodes.src.includes(':'));
  return eth(
    macs,
    ip({ ...nodes, ...ipFields }, udp({ sport, dport, sum: computed ? undefined : (sum ?? 0) }, tunnel)),
  );
}
export const overGeneve = (fields, payload, outer) =>
  over(geneve(fields, payload), { dport: 6081, ...outer });
export const overVxlan = (fields, payload, outer) => over(vxlan(fields, payload), { dport: 4789, ...outer });

/**
 * Stateless Transport Tunneling, draft-davie-stt-08: a TCP-shaped header whose sequence number holds the frame
 * length and the fragment offset and whose acknowledgement number is the fragment id, then 18 bytes of STT.
 */
export const sttFrame = ({ context, flags = 0, l4 = 0, mss = 0, vlan = 0 }, frame) =>
  cat(u8(0), u8(flags), u8(l4), u8(0), u16(mss), u16(vlan), u64(context), zeros(2), bytes(frame));
