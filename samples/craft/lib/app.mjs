// DNS (RFC 1035) and TLS hello messages (RFC 8446), just enough of them to be worth dissecting.
import { bytes, cat, ramp, u8, u16, u24, u32 } from './bytes.mjs';

// ------------------------------------------------------------------------------------------------------- DNS
export const dnsType = { A: 1, CNAME: 5, TXT: 16, AAAA: 28, SRV: 33, OPT: 41 };

const label = (text) => cat(u8(text.length), text);
/** A name as labels; `tail` is a pointer to where the rest already stands (section 4.1.4). */
export const name = (text, tail = u8(0)) => cat(...text.split('.').map(label), tail);
export const pointer = (offset) => u16(0xc000 | offset);
export const questionName = pointer(12); // the question always starts right behind the 12-byte header

export const question = (text, type) => cat(name(text), u16(dnsType[type]), u16(1));
export const record = (owner, type, rdata, ttl = 30) =>
  cat(owner, u16(dnsType[type]), u16(1), u32(ttl), u16(bytes(rdata).length), rdata);

/** A message; sections are lists of ready records, the counts follow from them. */
export const dns = ({ id, flags, questions = [], answers = [], authority = [], additional = [] }) => {
  const sections = [questions, answers, authority, additional];
  return cat(u16(id), u16(flags), ...sections.map((s) => u16(s.length)), ...sections.flat());
};
/** Over TCP a message is preceded by its length (section 4.2.2). */
export const dnsOverTcp = (message) => cat(u16(message.length), message);

// ------------------------------------------------------------------------------------------------------- TLS
const vector8 = (...x) => cat(u8(cat(...x).length), ...x);
const vector16 = (...x) => cat(u16(cat(...x).length), ...x);

export const tlsRecord = (type, version, body) => cat(u8(type), u16(version), u16(body.length), body);
const handshake = (type, body) => cat(u8(type), u24(body.length), body);
const extension = (type, body) => cat(u16(type), vector16(body));

export const grease = 0x4a4a; // RFC 8701: reserved values that a receiver must ignore
const greaseExtension = extension(grease, '');
const serverName = (host) => extension(0, vector16(u8(0), vector16(host)));
const alpn = (...protocols) => extension(16, vector16(...protocols.map((p) => vector8(p))));
const groups = (...ids) => extension(10, vector16(...ids.map(u16)));
const signatures = (...ids) => extension(13, vector16(...ids.map(u16)));
const offeredVersions = (...ids) => extension(43, vector8(...ids.map(u16)));
const x25519Share = (first) => cat(u16(0x001d), vector16(ramp(32, first)));

/** The random and the key share are counters: worthless as secrets, easy to spot in a dump. */
export function clientHello({ host, protocols, versions, ciphers, useGrease = false }) {
  const extras = useGrease ? [grease] : [];
  const tls13 = versions.includes(0x0304);
  const extensions = cat(
    useGrease ? greaseExtension : null,
    host ? serverName(host) : null,
    groups(...extras, 0x001d, 0x0017),
    signatures(0x0403, 0x0804),
    protocols ? alpn(...protocols) : null,
    tls13 ? offeredVersions(...extras, ...versions) : null,
    tls13 ? extension(51, vector16(x25519Share(0x40))) : null,
  );
  const body = cat(
    u16(0x0303),
    ramp(32, 0x10),
    vector8(tls13 ? ramp(32, 0x80) : ''),
    vector16(...[...extras, ...ciphers].map(u16)),
    vector8(u8(0)),
    vector16(extensions),
  );
  return tlsRecord(22, 0x0301, handshake(1, body));
}

/** TLS 1.3 hides its version in an extension; TLS 1.2 says it in the message and can answer ALPN in the clear. */
export function serverHello({ version, cipher, protocol }) {
  const tls13 = version === 0x0304;
  const extensions = tls13
    ? cat(extension(43, u16(version)), extension(51, x25519Share(0xc0)))
    : cat(extension(0xff01, u8(0)), protocol ? alpn(protocol) : null);
  const session = vector8(tls13 ? ramp(32, 0x80) : '');
  const body = cat(u16(0x0303), ramp(32, 0x30), session, u16(cipher), u8(0), vector16(extensions));
  return tlsRecord(22, 0x0303, handshake(2, body));
}
