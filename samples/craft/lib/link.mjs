// Everything that sits between the wire and IP: Ethernet, tags, labels, PPPoE, LLC, ARP, NSH, MACsec.
import { address, bytes, cat, hex, layer, mac, u8, u16, u24, u32, zeros } from './bytes.mjs';

export const TEB = 0x6558; // Transparent Ethernet Bridging: how tunnels announce an Ethernet frame

// 00:00:5e:00:53:00-ff are the documentation MACs of RFC 9542 section 2.1.1.
export const mac1 = '00:00:5e:00:53:01';
export const mac2 = '00:00:5e:00:53:02';
export const broadcast = 'ff:ff:ff:ff:ff:ff';

/** Ethernet II; EtherType comes from the payload unless given. `ip` 143 is "Ethernet" (RFC 8986). */
export const eth = ({ src = mac1, dst = mac2, type } = {}, payload) =>
  layer({ ether: TEB, ip: 143 }, () =>
    cat(mac(dst), mac(src), u16(type ?? payload?.ether ?? 0x88b5), bytes(payload)),
  );

/** 802.3: a length where Ethernet II has its type, LLC behind it. */
export const dot3 = ({ src = mac1, dst = mac2, length } = {}, payload) =>
  layer({ ether: TEB, ip: 143 }, () => {
    const body = bytes(payload);
    return cat(mac(dst), mac(src), u16(length ?? body.length), body);
  });
export const llc = ({ dsap, ssap = dsap, control = 3 }, payload) =>
  cat(u8(dsap), u8(ssap), u8(control), bytes(payload));
export const snap = ({ oui = 0, type }, payload) =>
  llc({ dsap: 0xaa }, cat(u24(oui), u16(type ?? payload.ether), bytes(payload)));

const tagged =
  (ether) =>
  ({ id, pcp = 0, dei = 0, type }, payload) =>
    layer({ ether }, () =>
      cat(u16((pcp << 13) | (dei << 12) | id), u16(type ?? payload?.ether ?? 0), bytes(payload)),
    );
export const vlan = tagged(0x8100); // 802.1Q customer tag
export const svlan = tagged(0x88a8); // 802.1ad service tag

/** An MPLS label stack, RFC 3032: `labels` outermost first, the last one gets the bottom-of-stack bit. */
export const mpls = (labels, payload, { tc = 0, ttl = 64 } = {}) =>
  layer({ ether: 0x8847, ip: 137 }, () => {
    const entry = (label, i) =>
      u32(label * 4096 + (tc << 9) + ((i === labels.length - 1 ? 1 : 0) << 8) + ttl);
    return cat(...labels.map(entry), bytes(payload));
  });

/** Pseudowire control word, RFC 4385 section 3: first nibble 0, so it cannot be taken for IP. */
export const controlWord = (sequence, payload) => cat(u32(sequence), bytes(payload));

/** PPPoE, RFC 2516: discovery carries tags, a session carries PPP. */
export const pppoe = ({ code = 0, session = 0 }, payload) =>
  layer({ ether: code === 0 ? 0x8864 : 0x8863 }, () => {
    const body = bytes(payload);
    return cat(u8(0x11), u8(code), u16(session), u16(body.length), body);
  });
export const pppoeTag = (type, value = '') => cat(u16(type), u16(bytes(value).length), value);
export const pppProtocol = (payload) => ({ 2048: 0x0021, 34525: 0x0057 })[payload.ether];
export const ppp = (payload) => cat(u16(pppProtocol(payload)), bytes(payload));

/** ARP for IPv4 over Ethernet, RFC 826. */
export const arp = ({ op = 1, sha = mac1, spa, tha = '00:00:00:00:00:00', tpa }) =>
  layer({ ether: 0x0806 }, () =>
    cat(hex('0001 0800 06 04'), u16(op), mac(sha), address(spa), mac(tha), address(tpa)),
  );

/** Network Service Header, RFC 8300. MD type 1 has 16 fixed bytes of context, type 2 has TLVs. */
const nshNext = { 2048: 1, 34525: 2, 25944: 3, 35151: 4, 34887: 5 };
export const nsh = ({ spi = 100, si = 255, ttl = 63, context, oam = 0, next }, payload) =>
  layer({ ether: 0x894f }, () => {
    const md = context ?? zeros(16);
    const type = context ? 2 : 1;
    const words = 2 + md.length / 4;
    const first = (oam << 13) | (ttl << 6) | words;
    return cat(
      u16(first),
      u8(type),
      u8(next ?? nshNext[payload.ether]),
      u24(spi),
      u8(si),
      md,
      bytes(payload),
    );
  });
export const nshTlv = (cls, type, data) =>
  cat(u16(cls), u8(type), u8(data.length), data, zeros(-data.length & 3));

/** MACsec SecTAG with SCI, IEEE 802.1AE; the tag covers everything after the source MAC, EtherType included. */
export const macsec = ({ pn, encrypted = false, an = 0, sci = cat(mac(mac1), u16(1)), icv }, body) =>
  layer({ ether: 0x88e5 }, () => {
    const secured = bytes(body);
    const shortLength = secured.length < 48 ? secured.length : 0;
    return cat(u8(0x20 | (encrypted ? 0x0c : 0) | an), u8(shortLength), u32(pn), sci, secured, icv);
  });
