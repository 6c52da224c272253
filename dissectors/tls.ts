/**
 * Transport Layer Security (RFC 8446 sections 4 and 5.1; 1.2: RFC 5246). Records:
 *
 *   | content type 8 | legacy version 16 | length 16 | fragment |
 *
 * and in those of type 22, as long as they are not encrypted, handshake messages:
 *
 *   | type 8 | length 24 | body |
 *
 * ClientHello:  | legacy version 16 | random 32 bytes | session ID <8> | cipher suites <16> | compression <8> | extensions <16> |
 * ServerHello:  | legacy version 16 | random 32 bytes | session ID <8> | cipher suite 16 | compression 8 | extensions <16> |
 *
 * <n> is a vector behind a length of n bits. An extension is | type 16 | data <16> |.
 *
 * There is no reassembly: a record that goes on in the next TCP segment is shown as far as this one has it, and a segment
 * that begins in the middle of a record is data. So TLS is found by the shape of its records, on any port.
 */
import { bytes, computed, u8, u16, u24 } from '../src/core/field.ts';
import { type Details, defineProtocol } from '../src/core/protocol.ts';
import { asciiText, hexText, printable } from '../src/core/text.ts';
import { isGrease, tlsAlert, tlsCipherSuite, tlsExtension, tlsVersion } from './names/tls.ts';

export const Content = {
  changeCipherSpec: 20,
  alert: 21,
  handshake: 22,
  application: 23,
  heartbeat: 24,
} as const;

const CONTENTS: Readonly<Record<number, string>> = {
  20: 'Change Cipher Spec',
  21: 'Alert',
  22: 'Handshake',
  23: 'Application Data',
  24: 'Heartbeat',
};

export const Message = {
  helloRequest: 0,
  clientHello: 1,
  serverHello: 2,
  encryptedExtensions: 8,
  certificate: 11,
  finished: 20,
  keyUpdate: 24,
} as const;

const MESSAGES: Readonly<Record<number, string>> = {
  0: 'Hello Request',
  1: 'Client Hello',
  2: 'Server Hello',
  4: 'New Session Ticket',
  5: 'End of Early Data',
  8: 'Encrypted Extensions',
  11: 'Certificate',
  12: 'Server Key Exchange',
  13: 'Certificate Request',
  14: 'Server Hello Done',
  15: 'Certificate Verify',
  16: 'Client Key Exchange',
  20: 'Finished',
  21: 'Client Certificate URL',
  22: 'Certificate Status',
  23: 'Supplemental Data',
  24: 'Key Update',
  25: 'Compressed Certificate',
};

const Extension = { serverName: 0, alpn: 16, supportedVersions: 43 } as const;

const LEVELS: Readonly<Record<number, string>> = { 1: 'Warning', 2: 'Fatal' };

// Relative to the record.
export const contentType = u8('tls.record.content_type', 'Content Type', 0, { values: CONTENTS, list: true });
const recordVersion = u16('tls.record.version', 'Version', 1, {
  base: 'hex',
  values: tlsVersion,
  list: true,
});
export const recordLength = u16('tls.record.length', 'Length', 3, { list: true });

// Relative to the handshake or alert message.
export const messageType = u8('tls.handshake.type', 'Handshake Type', 0, { values: MESSAGES, list: true });
export const messageLength = u24('tls.handshake.length', 'Length', 1, { list: true });
const alertLevel = u8('tls.alert_message.level', 'Level', 0, { values: LEVELS, list: true });
const alertDescription = u8('tls.alert_message.desc', 'Description', 1, { values: tlsAlert, list: true });

// Relative to the hello, behind its handshake header.
const legacyVersion = u16('tls.handshake.version', 'Version', 0, { base: 'hex', values: tlsVersion });
export const random = bytes('tls.handshake.random', 'Random', 2, 32);
const sessionIdLength = u8('tls.handshake.session_id_length', 'Session ID Length', 34);
const sessionId = computed<string>('tls.handshake.session_id', 'Session ID', 'bytes');

// Relative to themselves.
const cipherSuite = u16('tls.handshake.ciphersuite', 'Cipher Suite', 0, {
  base: 'hex',
  values: tlsCipherSuite,
  list: true,
});
const extensionType = u16('tls.handshake.extension.type', 'Type', 0, { values: tlsExtension, list: true });
const extensionLength = u16('tls.handshake.extension.len', 'Length', 2, { list: true });
const supportedVersion = u16('tls.handshake.extensions.supported_version', 'Supported Version', 0, {
  base: 'hex',
  values: tlsVersion,
  list: true,
});

const serverName = computed<string>('tls.handshake.extensions_server_name', 'Server Name', 'string');
const alpnProtocol = computed<string>('tls.handshake.extensions_alpn_str', 'ALPN Next Protocol', 'string', {
  list: true,
});
/** What the server chose; no field of Wireshark's. */
const negotiatedVersion = computed<number>('tls.negotiated_version', 'Negotiated version', 'uint', {
  show: (value) => tlsVersion(value) ?? `0x${value.toString(16)}`,
});

export const RECORD_HEADER = 5;
export const MESSAGE_HEADER = 4;
const EXTENSION_HEADER = 4;
/** RFC 5246 section 6.2.3; version 1.3 allows less. */
const RECORD_MAXIMUM = 2 ** 14 + 2048;
/** No hello or chain of certificates is longer: what says so is encrypted. */
export const MESSAGE_MAXIMUM = 2 ** 17;
const ALERT = 2;
/** An encrypted alert has at least a tag of 8 bytes (RFC 6655) with it. */
const ENCRYPTED_ALERT = 10;

/** Whether a record can begin at `at`; five bytes are there. */
export function recordBegins(view: DataView, at: number): boolean {
  const type = contentType.read(view, at);
  const version = recordVersion.read(view, at);
  const length = recordLength.read(view, at);
  if (version < 0x0300 || version > 0x0304) return false;
  if (length === 0 || length > RECORD_MAXIMUM) return false;
  switch (type) {
    case Content.changeCipherSpec:
      return length === 1;
    case Content.alert:
      return length === ALERT || length >= ENCRYPTED_ALERT;
    case Content.handshake:
      return length >= MESSAGE_HEADER;
    case Content.application:
    case Content.heartbeat:
      return true;
    default:
      return false;
  }
}

/** What a hello says, as far as it is there. */
export interface TlsHello {
  readonly type: 'client' | 'server';
  /** Highest version the client offers, or the one the server chose (RFC 8446 section 4.2.1); GREASE is no version. */
  version: number;
  serverName: string | null;
  /** Protocols offered, or the one chosen; a server of version 1.3 tells that in secret. */
  alpn: string[];
  /** Cipher suite chosen, -1 for a client. */
  cipherSuite: number;
}

/** Where a vector lies: its content from `from` to `to`, of which bytes up to `end` are there, and what follows at `to`. */
interface Vector {
  readonly from: number;
  readonly to: number;
  readonly end: number;
}

function vector(view: DataView, at: number, lengthBytes: 1 | 2, end: number): Vector | null {
  const from = at + lengthBytes;
  if (from > end) return null;
  const to = from + (lengthBytes === 1 ? view.getUint8(at) : view.getUint16(at));
  return { from, to, end: Math.min(to, end) };
}

/** Reads one hello; adds its fields to `out` where there is one. */
class HelloReader {
  readonly view: DataView;
  readonly end: number;
  readonly out: Details | null;
  readonly hello: TlsHello;

  constructor(view: DataView, end: number, type: TlsHello['type'], out: Details | null) {
    this.view = view;
    this.end = end;
    this.out = out;
    this.hello = { type, version: -1, serverName: null, alpn: [], cipherSuite: -1 };
  }

  read(at: number): TlsHello {
    const { view, end, out, hello } = this;
    for (const field of [legacyVersion, random, sessionIdLength]) {
      if (at + field.at + field.size > end) return hello;
      if (field === legacyVersion) hello.version = legacyVersion.read(view, at);
      out?.field(field, at);
    }
    const session = vector(view, at + sessionIdLength.at, 1, end);
    if (session === null || session.to > end) return hello;
    if (session.to > session.from)
      out?.computed(
        sessionId,
        hexText(view, session.from, session.to),
        session.from,
        session.to - session.from,
      );
    const rest = hello.type === 'client' ? this.offeredSuites(session.to) : this.chosenSuite(session.to);
    if (rest >= 0) this.readExtensions(rest);
    if (hello.type === 'server') out?.computed(negotiatedVersion, hello.version, at, 2);
    return hello;
  }

  /** To the extensions behind the suites and compression methods; -1 where they are not there. */
  private offeredSuites(at: number): number {
    const suites = vector(this.view, at, 2, this.end);
    if (suites === null) return -1;
    this.out?.open('Cipher Suites', suites.from, suites.end - suites.from);
    for (let suite = suites.from; suite + 2 <= suites.end; suite += 2) this.out?.field(cipherSuite, suite);
    this.out?.close();
    const compression = vector(this.view, suites.to, 1, this.end);
    return compression === null ? -1 : compression.to;
  }

  private chosenSuite(at: number): number {
    if (at + 3 > this.end) return -1;
    this.out?.field(cipherSuite, at);
    this.hello.cipherSuite = cipherSuite.read(this.view, at);
    return at + 3;
  }

  readExtensions(from: number): TlsHello {
    const { view, out, hello } = this;
    const list = vector(view, from, 2, this.end);
    if (list === null) return hello;
    for (let at = list.from; at + EXTENSION_HEADER <= list.end; ) {
      const type = extensionType.read(view, at);
      const data = at + EXTENSION_HEADER;
      const next = data + extensionLength.read(view, at);
      const there = Math.min(next, list.end);
      out?.open(`Extension: ${tlsExtension(type) ?? `Unknown type ${type}`}`, at, there - at);
      out?.field(extensionType, at);
      out?.field(extensionLength, at);
      if (type === Extension.serverName) this.serverNames(data, there);
      else if (type === Extension.alpn) this.protocols(data, there);
      else if (type === Extension.supportedVersions) this.versions(data, there);
      out?.close();
      at = next;
    }
    return hello;
  }

  /** RFC 6066 section 3: a list of one name, of the only type there is. A server's answer is empty. */
  private serverNames(at: number, end: number): void {
    const list = vector(this.view, at, 2, end);
    if (list === null || list.from >= list.end || this.view.getUint8(list.from) !== 0) return;
    const name = vector(this.view, list.from + 1, 2, list.end);
    if (name === null || name.to > name.end) return;
    this.hello.serverName = asciiText(this.view, name.from, name.to);
    this.out?.computed(serverName, this.hello.serverName, name.from, name.to - name.from);
  }

  /** RFC 7301 section 3.1. */
  private protocols(at: number, end: number): void {
    const list = vector(this.view, at, 2, end);
    if (list === null) return;
    for (let entry = list.from; entry < list.end; ) {
      const name = vector(this.view, entry, 1, list.end);
      if (name === null || name.to > name.end) return;
      const text = asciiText(this.view, name.from, name.to);
      this.out?.computed(alpnProtocol, text, name.from, name.to - name.from);
      const grease = name.to - name.from === 2 && isGrease(this.view.getUint16(name.from));
      if (!grease) this.hello.alpn.push(text);
      entry = name.to;
    }
  }

  /** RFC 8446 section 4.2.1: a list from the client, one from the server. */
  private versions(at: number, end: number): void {
    const { view, hello, out } = this;
    if (hello.type === 'server') {
      if (at + 2 > end) return;
      out?.field(supportedVersion, at);
      hello.version = supportedVersion.read(view, at);
      return;
    }
    const list = vector(view, at, 1, end);
    if (list === null) return;
    let highest = -1;
    for (let entry = list.from; entry + 2 <= list.end; entry += 2) {
      out?.field(supportedVersion, entry);
      const version = supportedVersion.read(view, entry);
      if (!isGrease(version) && version > highest) highest = version;
    }
    if (highest >= 0) hello.version = highest;
  }
}

/** Told of what a segment holds; the tree, the one line and `tlsHello` each want something else. */
interface Visitor {
  readonly out: Details | null;
  hello?(hello: TlsHello): void;
  /** Anything else, by name. */
  other?(name: string): void;
}

/** Visits the records from `start`, of which bytes up to `end` are there and more up to `limit` in this segment. */
function visit(view: DataView, start: number, end: number, limit: number, visitor: Visitor): void {
  const { out } = visitor;
  let encrypted = false;
  for (let at = start; at + RECORD_HEADER <= end; ) {
    if (!recordBegins(view, at)) {
      out?.remark(
        'tls.no-record',
        'note',
        at,
        end - at,
        'no record begins here: the middle of one, or not TLS',
      );
      return;
    }
    const type = contentType.read(view, at);
    const body = at + RECORD_HEADER;
    const next = body + recordLength.read(view, at);
    const there = Math.min(next, end);
    out?.open(`Record Layer: ${CONTENTS[type]}`, at, there - at);
    for (const field of [contentType, recordVersion, recordLength]) out?.field(field, at);
    if (type === Content.handshake && !encrypted) {
      messages(view, body, there, next, visitor);
      if (next > limit) {
        out?.remark(
          'tls.segmented',
          'note',
          at,
          there - at,
          `${next - limit} more bytes of this handshake record are in the segments that follow`,
        );
      }
    } else if (type === Content.handshake) {
      visitor.other?.('Encrypted Handshake Message');
    } else if (type === Content.alert) {
      alert(view, body, there, next, encrypted, visitor);
    } else {
      visitor.other?.(CONTENTS[type]);
    }
    if (type === Content.changeCipherSpec) encrypted = true;
    out?.close();
    at = next;
  }
}

/** Handshake messages from `at`, of a record that ends at `end`; bytes up to `there` are there. */
function messages(view: DataView, at: number, there: number, end: number, visitor: Visitor): void {
  const { out } = visitor;
  const first = at;
  while (at + MESSAGE_HEADER <= there) {
    const type = messageType.read(view, at);
    const length = messageLength.read(view, at);
    const body = at + MESSAGE_HEADER;
    const name = MESSAGES[type];
    // A message may be spread over records, and nothing tells an encrypted one but that it makes no sense.
    const clear =
      type === Message.helloRequest
        ? end - first === MESSAGE_HEADER && length === 0
        : length <= MESSAGE_MAXIMUM;
    if (name === undefined || !clear) {
      visitor.other?.('Encrypted Handshake Message');
      return;
    }
    const next = body + length;
    const bodyEnd = Math.min(next, there);
    out?.open(`Handshake Protocol: ${name}`, at, bodyEnd - at);
    out?.field(messageType, at);
    out?.field(messageLength, at);
    if (type === Message.clientHello || type === Message.serverHello) {
      const hello = new HelloReader(
        view,
        bodyEnd,
        type === Message.clientHello ? 'client' : 'server',
        out,
      ).read(body);
      visitor.hello?.(hello);
    } else {
      visitor.other?.(name);
    }
    out?.close();
    at = next;
  }
}

function alert(
  view: DataView,
  at: number,
  there: number,
  end: number,
  encrypted: boolean,
  visitor: Visitor,
): void {
  if (encrypted || end - at !== ALERT) {
    visitor.other?.('Encrypted Alert');
    return;
  }
  if (there < end) return;
  visitor.out?.field(alertLevel, at);
  visitor.out?.field(alertDescription, at);
  const level = alertLevel.read(view, at);
  const description = alertDescription.read(view, at);
  visitor.other?.(
    `Alert (Level: ${LEVELS[level] ?? level}, Description: ${tlsAlert(description) ?? description})`,
  );
}

/** The first hello in a segment, null where there is none. */
export function tlsHello(view: DataView, start: number, end: number): TlsHello | null {
  let found: TlsHello | null = null;
  visit(view, start, end, end, {
    out: null,
    hello(hello) {
      found ??= hello;
    },
  });
  return found;
}

/**
 * The hello that a whole handshake message is, from its header at `at` to `end`: of the server's it may be the part that
 * version 1.3 encrypts (RFC 8446 section 4.3.1), which has extensions alone. Null for every other message.
 */
export function helloMessage(view: DataView, at: number, end: number): TlsHello | null {
  const body = at + MESSAGE_HEADER;
  switch (messageType.read(view, at)) {
    case Message.clientHello:
      return new HelloReader(view, end, 'client', null).read(body);
    case Message.serverHello:
      return new HelloReader(view, end, 'server', null).read(body);
    case Message.encryptedExtensions:
      return new HelloReader(view, end, 'server', null).readExtensions(body);
    default:
      return null;
  }
}

function helloText(hello: TlsHello): string {
  const facts: string[] = [];
  if (hello.serverName !== null) facts.push(`SNI=${printable(hello.serverName)}`);
  if (hello.type === 'server' && hello.version >= 0)
    facts.push(tlsVersion(hello.version) ?? `version 0x${hello.version.toString(16)}`);
  if (hello.alpn.length > 0) facts.push(`ALPN=${printable(hello.alpn.join(','))}`);
  const name = hello.type === 'client' ? 'Client Hello' : 'Server Hello';
  return facts.length === 0 ? name : `${name} (${facts.join(', ')})`;
}

export const tls = defineProtocol({
  name: 'tls',
  title: 'Transport Layer Security',
  reference: 'RFC 8446',
  fields: [],
  detailFields: [
    contentType,
    recordVersion,
    recordLength,
    messageType,
    messageLength,
    alertLevel,
    alertDescription,
    legacyVersion,
    random,
    sessionIdLength,
    sessionId,
    cipherSuite,
    extensionType,
    extensionLength,
    supportedVersion,
    serverName,
    alpnProtocol,
    negotiatedVersion,
  ],
  minLength: 1,
  on: [],
  step(_view, _start, layers) {
    layers.body = layers.end;
  },
  details: (out) => visit(out.view, out.start, out.end, out.limit, { out }),
  info(view, start, layer) {
    const names: string[] = [];
    const add = (name: string) => {
      if (names.at(-1) !== name) names.push(name);
    };
    visit(view, start, layer.end, layer.limit, {
      out: null,
      other: add,
      hello: (hello) => add(helloText(hello)),
    });
    return names.length === 0 ? 'Continuation Data' : names.join(', ');
  },
  application: true,
  heuristic: {
    table: 'tcp.port',
    matches: (view, start, end) => end - start >= RECORD_HEADER && recordBegins(view, start),
  },
});
