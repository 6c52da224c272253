/**
 * Internet Control Message Protocol (RFC 792).
 *
 *   |     type      |     code      |           checksum            |
 *   |          four bytes whose meaning depends on the type         |
 *
 * Errors (types 3, 4, 5, 11, 12) quote the header and the first bytes of the packet they are about; those of types 3, 11
 * and 12 say how long the quote is, in words, where extensions follow it (RFC 4884 section 4).
 */
import { i32, ipv4, u8, u16, u32 } from '../src/core/field.ts';
import { type Details, defineProtocol, table } from '../src/core/protocol.ts';
import { hexNumber, ipv4Text } from '../src/core/text.ts';

const etherType = table('ethertype');
const IPV4 = 0x0800;

const TYPES: Readonly<Record<number, string>> = {
  0: 'Echo (ping) reply',
  3: 'Destination unreachable',
  4: 'Source quench (flow control)',
  5: 'Redirect',
  8: 'Echo (ping) request',
  9: 'Router advertisement',
  10: 'Router solicitation',
  11: 'Time-to-live exceeded',
  12: 'Parameter problem',
  13: 'Timestamp request',
  14: 'Timestamp reply',
  15: 'Information request',
  16: 'Information reply',
  17: 'Address mask request',
  18: 'Address mask reply',
  30: 'Traceroute',
  40: 'Photuris',
  42: 'Extended Echo request',
  43: 'Extended Echo reply',
};

const CODES: Readonly<Record<number, readonly string[]>> = {
  3: [
    'Network unreachable',
    'Host unreachable',
    'Protocol unreachable',
    'Port unreachable',
    'Fragmentation needed',
    'Source route failed',
    'Destination network unknown',
    'Destination host unknown',
    'Source host isolated',
    'Network administratively prohibited',
    'Host administratively prohibited',
    'Network unreachable for TOS',
    'Host unreachable for TOS',
    'Communication administratively filtered',
    'Host precedence violation',
    'Precedence cutoff in effect',
  ],
  5: [
    'Redirect for network',
    'Redirect for host',
    'Redirect for Type of Service and network',
    'Redirect for Type of Service and host',
  ],
  11: ['Time to live exceeded in transit', 'Fragment reassembly time exceeded'],
  12: ['Pointer indicates the error', 'Required option missing', 'Bad length'],
};

export const type = u8('icmp.type', 'Type', 0, { values: TYPES });
export const code = u8('icmp.code', 'Code', 1);
const checksum = u16('icmp.checksum', 'Checksum', 2, { base: 'hex' });

const identifier = u16('icmp.ident', 'Identifier', 4, { base: 'dechex' });
const sequence = u16('icmp.seq', 'Sequence Number', 6, { base: 'dechex' });
const quoteLength = u8('icmp.length', 'Length', 5, { show: (words) => `${words * 4} bytes (${words})` });
export const nextHopMtu = u16('icmp.mtu', 'MTU of next hop', 6);
const pointer = u8('icmp.pointer', 'Pointer', 4);
const gateway = ipv4('icmp.redir_gw', 'Gateway Address', 4);
const addressCount = u8('icmp.num_addrs', 'Number of addresses', 4);
const entrySize = u8('icmp.addr_entry_size', 'Address entry size', 5);
const lifetime = u16('icmp.lifetime', 'Lifetime', 6, { unit: ' seconds' });
const originate = u32('icmp.originate_timestamp', 'Originate Timestamp', 8);
const receive = u32('icmp.receive_timestamp', 'Receive Timestamp', 12);
const transmit = u32('icmp.transmit_timestamp', 'Transmit Timestamp', 16);
const addressMask = ipv4('icmp.address_mask', 'Address Mask', 8);
// Relative to one entry of a router advertisement.
const routerAddress = ipv4('icmp.router_address', 'Router address', 0, { list: true });
const preference = i32('icmp.pref_level', 'Preference level', 4, { list: true });

const HEADER = 8;

/** Codes of "destination unreachable" that others ask for. */
export const Unreachable = { type: 3, port: 3, fragmentationNeeded: 4 } as const;
const isUnreachable = (value: number) => value === Unreachable.type;
const isEcho = (value: number) => value === 0 || value === 8;
const isTimestamp = (value: number) => value === 13 || value === 14;
const isMask = (value: number) => value === 17 || value === 18;
/** With an identifier and a sequence number. */
const isQuery = (value: number) =>
  isEcho(value) || isTimestamp(value) || isMask(value) || value === 15 || value === 16;
/** With a quoted packet. */
const isError = (value: number) => value === 3 || value === 4 || value === 5 || value === 11 || value === 12;
/** With a quoted packet and its length (RFC 4884 section 4). */
const hasQuoteLength = (value: number) => value === 3 || value === 11 || value === 12;
/** Words that a quote has at least where extensions follow it (RFC 4884 section 3); less is no such length. */
const EXTENDED_QUOTE = 32;

function routers(out: Details): void {
  const { view, start, end } = out;
  const step = entrySize.read(view, start) * 4;
  if (step < 8) {
    out.remark(
      'icmp.entry-size',
      'warning',
      start + 5,
      1,
      `entries of ${step} bytes cannot hold an address and a preference`,
    );
    return;
  }
  let at = start + HEADER;
  for (let left = addressCount.read(view, start); left > 0 && at + step <= end; left--, at += step) {
    out.field(routerAddress, at);
    out.field(preference, at);
  }
}

/** Where it is 0, as in most, there are no extensions and the byte is unused. */
function showQuoteLength(out: Details): void {
  if (quoteLength.read(out.view, out.start) !== 0) out.field(quoteLength, out.start);
}

function details(out: Details): void {
  const { view, start, end } = out;
  const value = type.read(view, start);
  if (isQuery(value)) {
    out.field(identifier, start);
    out.field(sequence, start);
    if (isTimestamp(value)) {
      for (const field of [originate, receive, transmit])
        if (start + field.at + 4 <= end) out.field(field, start);
    } else if (isMask(value) && start + 12 <= end) {
      out.field(addressMask, start);
    }
  } else if (isUnreachable(value)) {
    showQuoteLength(out);
    if (code.read(view, start) === Unreachable.fragmentationNeeded) out.field(nextHopMtu, start);
  } else if (value === 5) {
    out.field(gateway, start);
  } else if (value === 9) {
    out.field(addressCount, start);
    out.field(entrySize, start);
    out.field(lifetime, start);
    routers(out);
  } else if (value === 11) {
    showQuoteLength(out);
  } else if (value === 12) {
    out.field(pointer, start);
    showQuoteLength(out);
  }
}

/** Types come in pairs: echo 8 and its reply 0, then requests 13, 15, 17, 42 with the reply one above. */
function conversation(view: DataView, start: number): number {
  const value = type.read(view, start);
  // Extended echo has its identifier at the same place (RFC 8335 section 2).
  if (value === 42 || value === 43) return ((42 | 0x100) << 16) | identifier.read(view, start);
  if (!isQuery(value)) return value << 16;
  const request = value === 0 ? 8 : value < 13 ? value : value - ((value + 1) & 1);
  return ((request | 0x100) << 16) | identifier.read(view, start);
}

export const icmp = defineProtocol({
  name: 'icmp',
  title: 'Internet Control Message Protocol',
  reference: 'RFC 792',
  fields: [type, code, checksum],
  detailFields: [
    identifier,
    sequence,
    quoteLength,
    nextHopMtu,
    pointer,
    gateway,
    addressCount,
    entrySize,
    lifetime,
    routerAddress,
    preference,
    originate,
    receive,
    transmit,
    addressMask,
  ],
  minLength: HEADER,
  on: [['ip.proto', 1]],
  step(view, start, layers) {
    const value = type.read(view, start);
    if (!isError(value)) return;
    const words = hasQuoteLength(value) ? quoteLength.read(view, start) : 0;
    if (words >= EXTENDED_QUOTE) layers.trim(layers.body + words * 4);
    layers.quote();
    layers.next(etherType, IPV4);
  },
  plain: { next: { type, request: 8, reply: 0, identifier } },
  details,
  info(view, start) {
    const value = type.read(view, start);
    const detail = code.read(view, start);
    const name = TYPES[value] ?? `Type ${value}`;
    if (isQuery(value)) {
      return `${name} id=${hexNumber(identifier.read(view, start), 4)}, seq=${sequence.read(view, start)}`;
    }
    if (!isError(value)) return name;
    const what = `${name} (${CODES[value]?.[detail] ?? `code ${detail}`})`;
    if (isUnreachable(value) && detail === Unreachable.fragmentationNeeded)
      return `${what} MTU=${nextHopMtu.read(view, start)}`;
    if (value === 5) return `${what} to ${ipv4Text(view, start + gateway.at)}`;
    return what;
  },
  flow: { conversation },
});
