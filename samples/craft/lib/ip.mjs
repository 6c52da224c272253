// IPv4, IPv6 and their extension headers, UDP, TCP, ICMP, SCTP, IPsec.
import { address, bytes, cat, crc32c, inetSum, layer, padTo, u8, u16, u32, zeros } from './bytes.mjs';

// IPv4 identifications simply count up within one set, so that no two datagrams look like copies.
let identification = 0;
export const restartIds = () => {
  identification = 0;
};
const nextId = () => {
  identification += 1;
  return identification;
};

const pseudo4 = (src, dst) => (proto, length) =>
  cat(address(src), address(dst), u8(0), u8(proto), u16(length));
const pseudo6 = (src, dst) => (proto, length) =>
  cat(address(src), address(dst), u32(length), zeros(3), u8(proto));

/** IPv4, RFC 791. `offset` is in bytes; `length` forces the total length field (0 for a GSO super-packet). */
export const ip4 = (
  { src, dst, proto, ttl = 64, tos = 0, id, df = 0, mf = 0, offset = 0, options, length, sum },
  payload,
) =>
  layer({ ether: 0x0800, ip: 4 }, () => {
    const opts = padTo(bytes(options), 4);
    const body = bytes(payload, pseudo4(src, dst));
    const words = 5 + opts.length / 4;
    const ident = id ?? nextId();
    const head = (check) =>
      cat(
        u8(0x40 | words),
        u8(tos),
        u16(length ?? words * 4 + body.length),
        u16(ident),
        u16((df << 14) | (mf << 13) | (offset / 8)),
        u8(ttl),
        u8(proto ?? payload?.ip ?? 253),
        u16(check),
        address(src),
        address(dst),
        opts,
      );
    return cat(head(sum ?? inetSum(head(0))), body);
  });

/** IPv6, RFC 8200. `length` forces the payload length field (0 for BIG TCP and jumbograms). */
export const ip6 = ({ src, dst, next, hops = 64, tclass = 0, flow = 0, length }, payload) =>
  layer({ ether: 0x86dd, ip: 41 }, () => {
    const body = bytes(payload, pseudo6(src, dst));
    return cat(
      u32(0x60000000 + tclass * 0x100000 + flow),
      u16(length ?? body.length),
      u8(next ?? payload?.ip ?? 59),
      u8(hops),
      address(src),
      address(dst),
      body,
    );
  });

/** IP of the family its addresses have. */
export const ip = (fields, payload) => (fields.src.includes(':') ? ip6 : ip4)(fields, payload);

/** Hop-by-hop (0) and destination (60) options, RFC 8200 sections 4.3 and 4.6. `options` must fill the header. */
const optionsHeader = (number) => (options, payload, next) =>
  layer({ ip: number }, (pseudo) =>
    cat(u8(next ?? payload?.ip ?? 59), u8((options.length + 2) / 8 - 1), options, bytes(payload, pseudo)),
  );
export const hopByHop = optionsHeader(0);
export const destOptions = optionsHeader(60);

/** Routing header, RFC 8200 section 4.4: type and segments left, then type-specific data. */
export const routing = ({ type, left, data }, payload) =>
  layer({ ip: 43 }, (pseudo) =>
    cat(
      u8(payload?.ip ?? 59),
      u8((data.length + 4) / 8 - 1),
      u8(type),
      u8(left),
      data,
      bytes(payload, pseudo),
    ),
  );

/** Fragment header, RFC 8200 section 4.5. */
export const fragment6 = ({ next, offset, more, id }, part) =>
  layer({ ip: 44 }, () => cat(u8(next), u8(0), u16(offset | (more ? 1 : 0)), u32(id), part));

/** UDP, RFC 768. `sum` 0 is "not computed"; a computed 0 is sent as 0xffff. */
export const udp = ({ sport, dport, sum, length }, payload) =>
  layer({ ip: 17 }, (pseudo) => {
    const body = bytes(payload);
    const size = 8 + body.length;
    const head = (check) => cat(u16(sport), u16(dport), u16(length ?? size), u16(check));
    const good = () => inetSum(pseudo(17, size), head(0), body) || 0xffff;
    return cat(head(sum ?? good()), body);
  });

const flagBits = { F: 1, S: 2, R: 4, P: 8, A: 16, U: 32, E: 64, C: 128 };

/** TCP, RFC 9293. Flags are letters: S, A, P, F, R, U, E(CE), C(WR). */
export const tcp = ({ sport, dport, seq, ack = 0, flags, win = 64240, options, sum, urgent = 0 }, payload) =>
  layer({ ip: 6 }, (pseudo) => {
    const opts = padTo(bytes(options), 4);
    const body = bytes(payload);
    const bits = [...flags].reduce((all, f) => all | flagBits[f], 0);
    const words = 5 + opts.length / 4;
    const head = (check) =>
      cat(
        u16(sport),
        u16(dport),
        u32(seq),
        u32(ack),
        u16((words << 12) | bits),
        u16(win),
        u16(check),
        u16(urgent),
        opts,
      );
    const good = () => inetSum(pseudo(6, words * 4 + body.length), head(0), body);
    return cat(head(sum ?? good()), body);
  });

/** One TCP option: kind, length, data; kinds 0 and 1 are single bytes. */
export const tcpOption = (kind, data) =>
  kind < 2 ? u8(kind) : cat(u8(kind), u8(2 + bytes(data).length), bytes(data));
export const nop = tcpOption(1);
export const mss = (value) => tcpOption(2, u16(value));
export const windowScale = (shift) => tcpOption(3, u8(shift));
export const sackPermitted = tcpOption(4);
export const sack = (...edges) => tcpOption(5, edges.map(u32));
export const timestamps = (value, echo = 0) => tcpOption(8, cat(u32(value), u32(echo)));

/** ICMP, RFC 792: type, code, four bytes of "rest", then data. */
export const icmp = ({ type, code = 0, rest = 0, sum }, data) =>
  layer({ ip: 1 }, () => {
    const body = bytes(data);
    const head = (check) => cat(u8(type), u8(code), u16(check), u32(rest));
    return cat(head(sum ?? inetSum(head(0), body)), body);
  });
const pingData = Buffer.from('0123456789abcdef');
export const ping = (id, seq, reply = false) =>
  icmp({ type: reply ? 0 : 8, rest: id * 65536 + seq }, pingData);

/** ICMPv6, RFC 4443: as ICMP, but the pseudo header is part of the checksum. */
export const icmp6 = ({ type, code = 0, rest = 0 }, data) =>
  layer({ ip: 58 }, (pseudo) => {
    const body = bytes(data);
    const head = (check) => cat(u8(type), u8(code), u16(check), u32(rest));
    return cat(head(inetSum(pseudo(58, 8 + body.length), head(0), body)), body);
  });
/** Neighbour-discovery option: length in units of 8 bytes, RFC 4861 section 4.6. */
export const ndOption = (type, data) => cat(u8(type), u8((data.length + 2) / 8), data);

/** SCTP, RFC 9260; each chunk is padded to 4 bytes. */
export const sctp = ({ sport, dport, tag }, chunks) =>
  layer({ ip: 132 }, () => {
    const head = (check) => cat(u16(sport), u16(dport), u32(tag), check);
    const body = cat(...chunks);
    const crc = zeros(4);
    crc.writeUInt32LE(crc32c(cat(head(zeros(4)), body)));
    return cat(head(crc), body);
  });
export const sctpChunk = (type, flags, value) =>
  padTo(cat(u8(type), u8(flags), u16(4 + value.length), value), 4);

/** ESP, RFC 4303: only SPI and sequence are readable. */
export const esp = ({ spi, seq }, opaque) => layer({ ip: 50 }, () => cat(u32(spi), u32(seq), opaque));

/** AH, RFC 4302: the payload behind it stays readable. Length counts 4-byte words minus 2. */
export const ah = ({ spi, seq, icv }, payload) =>
  layer({ ip: 51 }, (pseudo) =>
    cat(
      u8(payload.ip),
      u8((12 + icv.length) / 4 - 2),
      u16(0),
      u32(spi),
      u32(seq),
      icv,
      bytes(payload, pseudo),
    ),
  );
