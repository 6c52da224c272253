// pcap and pcapng writers (draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng), little-endian, fixed times.
import { bytes, cat, padTo } from './bytes.mjs';

export const startTime = 1704067200; // 2024-01-01T00:00:00Z: the output must not depend on when it is made

const le16 = (v) => {
  const b = Buffer.alloc(2);
  b.writeUInt16LE(v);
  return b;
};
const le32 = (v) => {
  const b = Buffer.alloc(4);
  b.writeUInt32LE(v >>> 0);
  return b;
};

/** Frame: { data, comment?, at? (seconds after the start), cut? (bytes kept), iface? }. */
const place = (frame, i) => ({ at: i / 1000, iface: 0, ...frame, data: bytes(frame.data) });
const kept = (f) => f.data.subarray(0, f.cut ?? f.data.length);

export function pcap(frames, { link = 1 } = {}) {
  const record = (f) => {
    const us = Math.round(f.at * 1e6);
    const time = cat(le32(startTime + Math.floor(us / 1e6)), le32(us % 1e6));
    return cat(time, le32(kept(f).length), le32(f.data.length), kept(f));
  };
  const header = cat(le32(0xa1b2c3d4), le16(2), le16(4), le32(0), le32(0), le32(262144), le32(link));
  return cat(header, ...frames.map(place).map(record));
}

const option = (code, value) => cat(le16(code), le16(bytes(value).length), padTo(bytes(value), 4));
const options = (...list) => cat(...list, list.length ? option(0, '') : null);

export function block(type, body) {
  const padded = padTo(body, 4);
  const total = le32(padded.length + 12);
  return cat(le32(type), total, padded, total);
}

export function pcapng(frames, { interfaces = [{ name: 'craft0', link: 1 }], keyLog } = {}) {
  const section = block(
    0x0a0d0d0a,
    cat(
      le32(0x1a2b3c4d),
      le16(1),
      le16(0),
      Buffer.alloc(8, 0xff),
      options(option(4, 'tunscope samples/craft')),
    ),
  );
  // if_tsresol (9) 6 is the default, written out so that nobody has to know it
  const iface = ({ name, link, snaplen = 0 }) =>
    block(1, cat(le16(link), le16(0), le32(snaplen), options(option(2, name), option(9, Buffer.from([6])))));
  const packet = (f) => {
    const us = BigInt(startTime) * 1000000n + BigInt(Math.round(f.at * 1e6));
    return block(
      6,
      cat(
        le32(f.iface),
        le32(Number(us >> 32n)),
        le32(Number(us & 0xffffffffn)),
        le32(kept(f).length),
        le32(f.data.length),
        padTo(kept(f), 4),
        f.comment ? options(option(1, f.comment)) : null,
      ),
    );
  };
  // A decryption secrets block: secrets type "TLSK", length, text.
  const secrets = keyLog ? block(10, cat(le32(0x544c534b), le32(keyLog.length), keyLog)) : null;
  return cat(section, secrets, ...interfaces.map(iface), ...frames.map(place).map(packet));
}

/** Rows of [comment, layer or bytes, extra?] as frames. */
export const rows = (table) => table.map(([comment, data, extra]) => ({ comment, data, ...extra }));
