/**
 * Domain Name System (RFC 1035 section 4), and its relatives that share the format: Multicast DNS (RFC 6762) and
 * Link-Local Multicast Name Resolution (RFC 4795).
 *
 *   |               ID              |Q| opcode|A|T|R|R|Z|A|C| rcode |
 *   |           questions           |          answer RRs           |
 *   |         authority RRs         |         additional RRs        |
 *
 *   question:  | name | type 16 | class 16 |
 *   record:    | name | type 16 | class 16 | TTL 32 | length 16 | data |
 *
 * A name is a list of labels, each behind its length, up to a length of 0; two bytes that start with two set bits point
 * at the rest of it, earlier in the message (section 4.1.4).
 *
 * Over TCP each message has its length in front (section 4.2.2); messages cut by segments are shown as far as they go.
 */
import { computed, type Field, flag, ipv4, ipv6, u8, u16, u32 } from '../src/core/field.ts';
import { type Details, defineProtocol, table } from '../src/core/protocol.ts';
import { hexNumber, hexText, ipv4Text, ipv6Text } from '../src/core/text.ts';

const dnsMessage = table('dns');

const Type = {
  a: 1,
  ns: 2,
  cname: 5,
  soa: 6,
  ptr: 12,
  mx: 15,
  txt: 16,
  aaaa: 28,
  srv: 33,
  dname: 39,
  opt: 41,
  svcb: 64,
  https: 65,
} as const;

/** IANA "Resource Record (RR) TYPEs" worth a name. */
const TYPES: Readonly<Record<number, string>> = {
  1: 'A',
  2: 'NS',
  5: 'CNAME',
  6: 'SOA',
  10: 'NULL',
  12: 'PTR',
  13: 'HINFO',
  15: 'MX',
  16: 'TXT',
  17: 'RP',
  24: 'SIG',
  25: 'KEY',
  28: 'AAAA',
  29: 'LOC',
  33: 'SRV',
  35: 'NAPTR',
  36: 'KX',
  37: 'CERT',
  39: 'DNAME',
  41: 'OPT',
  42: 'APL',
  43: 'DS',
  44: 'SSHFP',
  45: 'IPSECKEY',
  46: 'RRSIG',
  47: 'NSEC',
  48: 'DNSKEY',
  49: 'DHCID',
  50: 'NSEC3',
  51: 'NSEC3PARAM',
  52: 'TLSA',
  53: 'SMIMEA',
  55: 'HIP',
  59: 'CDS',
  60: 'CDNSKEY',
  61: 'OPENPGPKEY',
  62: 'CSYNC',
  63: 'ZONEMD',
  64: 'SVCB',
  65: 'HTTPS',
  99: 'SPF',
  108: 'EUI48',
  109: 'EUI64',
  249: 'TKEY',
  250: 'TSIG',
  251: 'IXFR',
  252: 'AXFR',
  255: 'ANY',
  256: 'URI',
  257: 'CAA',
};
const typeName = (value: number) => TYPES[value] ?? `Unknown (${value})`;

const CLASSES: Readonly<Record<number, string>> = { 1: 'IN', 3: 'CH', 4: 'HS', 254: 'NONE', 255: 'ANY' };

const OPCODES: Readonly<Record<number, string>> = {
  0: 'Standard query',
  1: 'Inverse query',
  2: 'Server status request',
  4: 'Zone change notification',
  5: 'Dynamic update',
  6: 'DNS Stateful operations (DSO)',
};

const RESPONSES: Readonly<Record<number, string>> = {
  0: 'No error',
  1: 'Format error',
  2: 'Server failure',
  3: 'No such name',
  4: 'Not implemented',
  5: 'Refused',
  6: 'Name exists',
  7: 'RRset exists',
  8: 'RRset does not exist',
  9: 'Not authoritative',
  10: 'Name out of zone',
  11: 'DSO-Type not implemented',
};

const id = u16('dns.id', 'Transaction ID', 0, { base: 'hex' });
const response = flag('dns.flags.response', 'Response', 2, 0x8000, 2);
const opcode = u16('dns.flags.opcode', 'Opcode', 2, { mask: 0x7800, values: OPCODES });
const authoritative = flag('dns.flags.authoritative', 'Authoritative', 2, 0x0400, 2);
const truncated = flag('dns.flags.truncated', 'Truncated', 2, 0x0200, 2);
const recursionDesired = flag('dns.flags.recdesired', 'Recursion desired', 2, 0x0100, 2);
const recursionAvailable = flag('dns.flags.recavail', 'Recursion available', 2, 0x0080, 2);
const reserved = flag('dns.flags.z', 'Z', 2, 0x0040, 2);
const authenticated = flag('dns.flags.authenticated', 'Answer authenticated', 2, 0x0020, 2);
const checkingDisabled = flag('dns.flags.checkdisable', 'Non-authenticated data', 2, 0x0010, 2);
const rcode = u16('dns.flags.rcode', 'Reply code', 2, { mask: 0x000f, values: RESPONSES });
const questions = u16('dns.count.queries', 'Questions', 4);
const answers = u16('dns.count.answers', 'Answer RRs', 6);
const authorities = u16('dns.count.auth_rr', 'Authority RRs', 8);
const additionals = u16('dns.count.add_rr', 'Additional RRs', 10);

const queryName = computed<string>('dns.qry.name', 'Name', 'string', { list: true });
const responseName = computed<string>('dns.resp.name', 'Name', 'string', { list: true });

// Relative to the end of the name.
const queryType = u16('dns.qry.type', 'Type', 0, { values: TYPES, list: true });
const queryClass = u16('dns.qry.class', 'Class', 2, { base: 'hex', values: CLASSES, list: true });
const responseType = u16('dns.resp.type', 'Type', 0, { values: TYPES, list: true });
const responseClass = u16('dns.resp.class', 'Class', 2, { base: 'hex', values: CLASSES, list: true });
const timeToLive = u32('dns.resp.ttl', 'Time to live', 4, { list: true });
const dataLength = u16('dns.resp.len', 'Data length', 8, { list: true });
// The same of Multicast DNS, whose classes have a flag on top (RFC 6762 sections 5.4 and 10.2).
const unicastWanted = { ...flag('dns.qry.qu', '"QU" question', 2, 0x8000, 2), list: true };
const shortQueryClass = u16('dns.qry.class', 'Class', 2, {
  mask: 0x7fff,
  base: 'hex',
  values: CLASSES,
  list: true,
});
const cacheFlush = { ...flag('dns.resp.cache_flush', 'Cache flush', 2, 0x8000, 2), list: true };
const shortResponseClass = u16('dns.resp.class', 'Class', 2, {
  mask: 0x7fff,
  base: 'hex',
  values: CLASSES,
  list: true,
});
// The same of EDNS (RFC 6891 section 6.1.2), which has its own use for class and TTL.
const payloadSize = u16('dns.rr.udp_payload_size', 'UDP payload size', 2);
const extendedRcode = u8('dns.resp.ext_rcode', 'Higher bits in extended RCODE', 4, { base: 'hex' });
const ednsVersion = u8('dns.resp.edns0_version', 'EDNS0 version', 5);
const dnssecOk = flag('dns.resp.z.do', 'DO bit', 6, 0x8000, 2);

// Relative to a record's data, or to the part of them that follows a name.
const address4 = ipv4('dns.a', 'Address', 0, { list: true });
const address6 = ipv6('dns.aaaa', 'AAAA Address', 0, { list: true });
const mailPreference = u16('dns.mx.preference', 'Preference', 0, { list: true });
const servicePriority = u16('dns.srv.priority', 'Priority', 0, { list: true });
const serviceWeight = u16('dns.srv.weight', 'Weight', 2, { list: true });
const servicePort = u16('dns.srv.port', 'Port', 4, { list: true });
const bindingPriority = u16('dns.svcb.svcpriority', 'SvcPriority', 0, { list: true });
const serial = u32('dns.soa.serial_number', 'Serial Number', 0, { list: true });
const refresh = u32('dns.soa.refresh_interval', 'Refresh Interval', 4, { list: true });
const retry = u32('dns.soa.retry_interval', 'Retry Interval', 8, { list: true });
const expire = u32('dns.soa.expire_limit', 'Expire limit', 12, { list: true });
const minimumTtl = u32('dns.soa.minimum_ttl', 'Minimum TTL', 16, { list: true });

const nameField = (name: string, label: string) => computed<string>(name, label, 'string', { list: true });
const nameServer = nameField('dns.ns', 'Name Server');
const canonicalName = nameField('dns.cname', 'CNAME');
const domainName = nameField('dns.ptr.domain_name', 'Domain Name');
const delegation = nameField('dns.dname', 'Dname');
const mailExchange = nameField('dns.mx.mail_exchange', 'Mail Exchange');
const serviceTarget = nameField('dns.srv.target', 'Target');
const bindingTarget = nameField('dns.svcb.targetname', 'TargetName');
const primaryServer = nameField('dns.soa.mname', 'Primary name server');
const mailbox = nameField('dns.soa.rname', "Responsible authority's mailbox");
const textString = nameField('dns.txt', 'TXT');
const rawData = computed<string>('dns.data', 'Data', 'bytes', { list: true });

const HEADER = 12;
/** Bytes of a question and of a record behind its name, data not counted. */
const QUESTION = 4;
const RECORD = 10;
const SOA_NUMBERS = 20;
/** RFC 1035 section 2.3.4. */
const LABEL_MAXIMUM = 63;
const NAME_MAXIMUM = 255;
/** As many pointers as a name can have labels. */
const JUMP_MAXIMUM = 127;
/** Questions and records that are listed; a zone transfer has more, to no one's benefit here. */
const LISTED = 1000;

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
function textOf(view: DataView, from: number, to: number): string {
  return utf8.decode(new Uint8Array(view.buffer, view.byteOffset + from, to - from));
}

interface Name {
  readonly text: string;
  /** Where the name ends in its place, behind its first pointer. */
  readonly next: number;
  /** What is wrong with it, '' for nothing. */
  readonly fault: string;
}

/** The name at `from` in the message at `message`; null where what follows it cannot be found. */
function readName(view: DataView, message: number, from: number, end: number): Name | null {
  let text = '';
  let next = -1;
  let length = 0;
  let at = from;
  /** Pointers lead below the part of the name that holds them: what they lead to is finite. */
  let below = from;
  const fail = (fault: string): Name | null => (next < 0 ? null : { text: `<${fault}>`, next, fault });
  for (let jumps = 0; at < end; ) {
    const size = view.getUint8(at);
    if (size === 0) return { text: text === '' ? '<Root>' : text, next: next < 0 ? at + 1 : next, fault: '' };
    if (size > LABEL_MAXIMUM) {
      if (size < 0xc0) return fail('Name has a label of unknown kind');
      if (at + 2 > end) return fail('Name runs past the message');
      if (next < 0) next = at + 2;
      at = message + (view.getUint16(at) & 0x3fff);
      if (at >= below || ++jumps > JUMP_MAXIMUM) return fail('Name contains a pointer that loops');
      below = at;
      continue;
    }
    length += 1 + size;
    if (length >= NAME_MAXIMUM) return fail('Name is too long');
    if (at + 1 + size > end) return fail('Name runs past the message');
    text += (text === '' ? '' : '.') + textOf(view, at + 1, at + 1 + size);
    at += 1 + size;
  }
  return fail('Name runs past the message');
}

/** Strings behind their lengths (RFC 1035 section 3.3.14). */
function* strings(
  view: DataView,
  from: number,
  end: number,
): Generator<{ at: number; text: string; next: number }> {
  for (let at = from; at < end; ) {
    const next = at + 1 + view.getUint8(at);
    if (next > end) return;
    yield { at, text: textOf(view, at + 1, next), next };
    at = next;
  }
}

/** A message and what is made of it. */
class Reader {
  readonly out: Details;
  readonly multicast: boolean;
  private at: number;

  constructor(out: Details, multicast: boolean) {
    this.out = out;
    this.multicast = multicast;
    this.at = out.start + HEADER;
  }

  /** Reads to the end of the message, of what is there, or to the first thing that makes no sense. */
  read(): void {
    const { view, start, end, limit } = this.out;
    let left = LISTED;
    for (const count of [questions, answers, authorities, additionals]) {
      const isQuestion = count === questions;
      const wanted = count.read(view, start);
      if (wanted === 0) continue;
      this.out.open(isQuestion ? 'Queries' : count.label, this.at, 0);
      for (let i = 0; i < wanted; i++) {
        if (left-- === 0) {
          this.out.close();
          this.out.remark(
            'dns.many-records',
            'note',
            this.at,
            0,
            `more than ${LISTED} records: the rest is not listed`,
          );
          return;
        }
        if (!(isQuestion ? this.question() : this.record())) {
          this.out.close();
          // Cut by the capture, or by a TCP segment, is no fault of the message.
          if (end === limit) {
            this.out.remark(
              'dns.malformed',
              'error',
              this.at,
              end - this.at,
              `${isQuestion ? 'question' : 'record'} ${i + 1} of ${wanted} runs past the message or has no name`,
            );
          }
          return;
        }
      }
      this.out.close();
    }
    if (this.at < end)
      this.out.remark(
        'dns.extraneous',
        'note',
        this.at,
        end - this.at,
        `${end - this.at} bytes after the last record`,
      );
  }

  private name(at: number, end: number): Name | null {
    const name = readName(this.out.view, this.out.start, at, end);
    if (name !== null && name.fault !== '')
      this.out.remark('dns.name', 'error', at, name.next - at, name.fault);
    return name;
  }

  private question(): boolean {
    const { out, at } = this;
    const name = this.name(at, out.end);
    if (name === null || name.next + QUESTION > out.end) return false;
    this.at = name.next + QUESTION;
    out.open(`${name.text}: type ${typeName(queryType.read(out.view, name.next))}`, at, this.at - at);
    out.computed(queryName, name.text, at, name.next - at);
    out.field(queryType, name.next);
    if (this.multicast) out.field(shortQueryClass, name.next);
    else out.field(queryClass, name.next);
    if (this.multicast) out.field(unicastWanted, name.next);
    out.close();
    return true;
  }

  private record(): boolean {
    const { out, at } = this;
    const { view, end } = out;
    const name = this.name(at, end);
    if (name === null || name.next + RECORD > end) return false;
    const type = responseType.read(view, name.next);
    const data = name.next + RECORD;
    const dataEnd = data + dataLength.read(view, name.next);
    const whole = dataEnd <= end;
    out.open(`${name.text}: type ${typeName(type)}`, at, Math.min(dataEnd, end) - at);
    out.computed(responseName, name.text, at, name.next - at);
    out.field(responseType, name.next);
    for (const field of this.middle(type)) out.field(field, name.next);
    out.field(dataLength, name.next);
    if (whole) this.data(type, data, dataEnd);
    out.close();
    if (whole) this.at = dataEnd;
    return whole;
  }

  /** What a record has between type and data length. */
  private middle(type: number): readonly Field[] {
    if (type === Type.opt) return [payloadSize, extendedRcode, ednsVersion, dnssecOk];
    return this.multicast ? [shortResponseClass, cacheFlush, timeToLive] : [responseClass, timeToLive];
  }

  /** Adds the name at `at` and says where it ends, -1 where it is none. */
  private nameData(field: Field<string>, at: number, end: number): number {
    const name = this.name(at, end);
    if (name === null) return -1;
    this.out.computed(field, name.text, at, name.next - at);
    return name.next;
  }

  private data(type: number, at: number, end: number): void {
    const { out } = this;
    const size = end - at;
    if (type === Type.a && size === 4) {
      out.field(address4, at);
    } else if (type === Type.aaaa && size === 16) {
      out.field(address6, at);
    } else if (type === Type.ns) {
      this.nameData(nameServer, at, end);
    } else if (type === Type.cname) {
      this.nameData(canonicalName, at, end);
    } else if (type === Type.ptr) {
      this.nameData(domainName, at, end);
    } else if (type === Type.dname) {
      this.nameData(delegation, at, end);
    } else if (type === Type.mx && size > 2) {
      out.field(mailPreference, at);
      this.nameData(mailExchange, at + 2, end);
    } else if (type === Type.srv && size > 6) {
      out.field(servicePriority, at);
      out.field(serviceWeight, at);
      out.field(servicePort, at);
      this.nameData(serviceTarget, at + 6, end);
    } else if ((type === Type.svcb || type === Type.https) && size > 2) {
      out.field(bindingPriority, at);
      this.nameData(bindingTarget, at + 2, end);
    } else if (type === Type.txt) {
      for (const string of strings(out.view, at, end))
        out.computed(textString, string.text, string.at, string.next - string.at);
    } else if (type === Type.soa) {
      const second = this.nameData(primaryServer, at, end);
      const numbers = second < 0 ? -1 : this.nameData(mailbox, second, end);
      if (numbers < 0 || numbers + SOA_NUMBERS > end) return;
      for (const field of [serial, refresh, retry, expire, minimumTtl]) out.field(field, numbers);
    } else if (size > 0) {
      out.computed(rawData, hexText(out.view, at, end), at, size);
    }
  }
}

/** The data of a record in a few words; '' for those that have none here. */
function dataText(view: DataView, message: number, type: number, at: number, end: number): string {
  const name = (from: number) => readName(view, message, from, end)?.text ?? '';
  if (type === Type.a && end - at === 4) return ` ${ipv4Text(view, at)}`;
  if (type === Type.aaaa && end - at === 16) return ` ${ipv6Text(view, at)}`;
  if (
    type === Type.ns ||
    type === Type.cname ||
    type === Type.ptr ||
    type === Type.dname ||
    type === Type.soa
  )
    return ` ${name(at)}`;
  if (type === Type.mx && end - at > 2) return ` ${mailPreference.read(view, at)} ${name(at + 2)}`;
  if (type === Type.srv && end - at > 6) {
    return ` ${servicePriority.read(view, at)} ${serviceWeight.read(view, at)} ${servicePort.read(view, at)} ${name(at + 6)}`;
  }
  return '';
}

/** Questions and records of the one line. */
const SUMMARISED = 4;

function summary(view: DataView, start: number, end: number): string {
  const kind = OPCODES[opcode.read(view, start)] ?? 'Unknown operation';
  const code = rcode.read(view, start);
  let text = `${kind}${response.read(view, start) ? ' response' : ''} ${hexNumber(id.read(view, start), 4)}`;
  if (code !== 0) text += ` ${RESPONSES[code] ?? `code ${code}`}`;
  const asked = questions.read(view, start);
  const total =
    asked + answers.read(view, start) + authorities.read(view, start) + additionals.read(view, start);
  let at = start + HEADER;
  for (let i = 0; i < total; i++) {
    if (i === SUMMARISED) return `${text} …`;
    const name = readName(view, start, at, end);
    if (name === null || name.next + (i < asked ? QUESTION : RECORD) > end) break;
    const type = queryType.read(view, name.next);
    text += ` ${typeName(type)}`;
    if (i < asked) {
      text += ` ${name.text}`;
      at = name.next + QUESTION;
    } else {
      const data = name.next + RECORD;
      at = data + dataLength.read(view, name.next);
      if (at > end) break;
      text += dataText(view, start, type, data, at);
    }
  }
  return text;
}

/** Whether a message can begin here: an operation that exists, and a question or a record unless it is an answer. */
function plausible(view: DataView, start: number, end: number): boolean {
  return (
    end - start >= HEADER &&
    OPCODES[opcode.read(view, start)] !== undefined &&
    !reserved.read(view, start) &&
    questions.read(view, start) <= LISTED &&
    (response.read(view, start) ||
      questions.read(view, start) + answers.read(view, start) + authorities.read(view, start) > 0)
  );
}

const FIELDS = [
  id,
  response,
  opcode,
  authoritative,
  truncated,
  recursionDesired,
  recursionAvailable,
  reserved,
  authenticated,
  checkingDisabled,
  rcode,
  questions,
  answers,
  authorities,
  additionals,
];

const DETAIL_FIELDS = [
  queryName,
  queryType,
  queryClass,
  unicastWanted,
  responseName,
  responseType,
  responseClass,
  cacheFlush,
  timeToLive,
  payloadSize,
  extendedRcode,
  ednsVersion,
  dnssecOk,
  dataLength,
  address4,
  address6,
  nameServer,
  canonicalName,
  domainName,
  delegation,
  mailPreference,
  mailExchange,
  servicePriority,
  serviceWeight,
  servicePort,
  serviceTarget,
  bindingPriority,
  bindingTarget,
  textString,
  primaryServer,
  mailbox,
  serial,
  refresh,
  retry,
  expire,
  minimumTtl,
  rawData,
];

function dnsProtocol(
  name: string,
  title: string,
  reference: string,
  on: readonly (readonly [string, number])[],
) {
  return defineProtocol({
    name,
    title,
    reference,
    fields: FIELDS,
    detailFields: DETAIL_FIELDS,
    minLength: HEADER,
    on,
    step(_view, _start, layers) {
      layers.body = layers.limit;
    },
    details: (out) => new Reader(out, name === 'mdns').read(),
    info: (view, start, layer) => summary(view, start, layer.end),
    plausible,
    application: true,
  });
}

export const dns = dnsProtocol('dns', 'Domain Name System', 'RFC 1035', [
  ['udp.port', 53],
  ['dns', 0],
]);
export const mdns = dnsProtocol('mdns', 'Multicast Domain Name System', 'RFC 6762', [['udp.port', 5353]]);
export const llmnr = dnsProtocol('llmnr', 'Link-local Multicast Name Resolution', 'RFC 4795', [
  ['udp.port', 5355],
]);

const messageLength = u16('dns.length', 'Length', 0);
const PREFIX = 2;

/** Whether a TCP segment begins with a message, rather than in the middle of one. */
function messageBegins(view: DataView, start: number, end: number): boolean {
  if (end - start < PREFIX || messageLength.read(view, start) < HEADER) return false;
  return end - start < PREFIX + HEADER || plausible(view, start + PREFIX, end);
}

/** The length in front of a message on TCP. Of the messages in a segment, the first is shown. */
export const dnsTcp = defineProtocol({
  name: 'dns-tcp',
  title: 'Domain Name System over TCP',
  reference: 'RFC 1035 section 4.2.2',
  fields: [],
  detailFields: [messageLength],
  minLength: PREFIX,
  on: [['tcp.port', 53]],
  step(view, start, layers) {
    if (!messageBegins(view, start, layers.end)) {
      layers.body = start;
      return;
    }
    const limit = layers.body + messageLength.read(view, start);
    layers.trim(limit);
    layers.limit = limit; // the rest of a longer message is in segments to come: cut, not wrong
    layers.next(dnsMessage, 0);
  },
  details(out) {
    if (out.body > out.start) out.field(messageLength, out.start);
    else
      out.remark(
        'dns-tcp.no-message',
        'note',
        out.start,
        0,
        'no message begins here: the segment is from the middle of one',
      );
  },
  plausible: messageBegins,
  application: true,
});
