/**
 * A TLS 1.3 connection read along from its first byte (RFC 8446). Each direction goes through three phases: clear until
 * the server's hello, under the handshake's secrets until its Finished message, then under those of the application.
 */
import { X509Certificate } from 'node:crypto';
import {
  Content,
  contentType,
  helloMessage,
  MESSAGE_HEADER,
  MESSAGE_MAXIMUM,
  Message,
  messageLength,
  messageType,
  RECORD_HEADER,
  random,
  recordBegins,
  recordLength,
  type TlsHello,
} from '../../dissectors/tls.ts';
import { GrowingBuffer } from './growing-buffer.ts';
import type { KeyLog, TlsSecrets } from './key-log.ts';
import { CIPHER_SUITES, type CipherSuite, RecordProtection } from './record-protection.ts';

export const Side = { client: 0, server: 1 } as const;
export type Side = (typeof Side)[keyof typeof Side];

const TLS13 = 0x0304;

/** The random of a ServerHello that asks for another ClientHello (section 4.1.3). */
const RETRY = 'cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c';

/** Bytes of records that may wait for the server's hello: a client's first flight with its certificates, twice over. */
const MAX_PENDING = 1 << 18;
const PIECE = 1 << 16;

export interface TlsEvents {
  clientHello(hello: TlsHello): void;
  serverHello(hello: TlsHello): void;
  /** Decrypted bytes of the application; valid during the call. */
  application(side: Side, bytes: Uint8Array): void;
}

class Direction {
  /** Records as they came, the last one perhaps incomplete. */
  readonly records = new GrowingBuffer();
  /** Handshake messages, which may go over the ends of records. */
  readonly messages = new GrowingBuffer();
  /** Null while nothing is encrypted, and where the key log has no secret for it. */
  protection: RecordProtection | null = null;
  encrypted = false;
}

export class TlsSession {
  opened = 0;
  refused = 0;
  keys: 'found' | 'partial' | 'missing' | null = null;
  /** The application's protocol as the server chose it. */
  alpn: string | null = null;
  /** URI names of the certificates by `Side`. */
  readonly identities: [string | null, string | null] = [null, null];
  /** Why reading ended before the connection did. */
  problem: string | null = null;
  /** Whether the client began with a TLS record, null before it sent as much as a record's header. */
  clientIsTls: boolean | null = null;

  private readonly sides = [new Direction(), new Direction()] as const;
  private readonly keyLog: KeyLog;
  private readonly events: TlsEvents;
  private clientRandom: string | null = null;
  private suite: CipherSuite | null = null;
  private secrets: TlsSecrets = {};

  constructor(keyLog: KeyLog, events: TlsEvents) {
    this.keyLog = keyLog;
    this.events = events;
  }

  /** Bytes of one side in the order of its stream. */
  data(side: Side, bytes: Uint8Array): void {
    const { records } = this.sides[side];
    // In pieces, so that what waits for the server's hello is told from one large segment.
    for (let at = 0; at < bytes.length && this.problem === null; at += PIECE) {
      records.append(bytes.subarray(at, at + PIECE));
      this.pump(side);
      if (records.length > MAX_PENDING) this.end("the server's hello was not captured");
    }
  }

  private end(problem: string): void {
    this.problem ??= problem;
  }

  private pump(side: Side): void {
    const direction = this.sides[side];
    const { records } = direction;
    while (this.problem === null && records.length >= RECORD_HEADER) {
      const bytes = records.content;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      const type = contentType.read(view, 0);
      const begins = recordBegins(view, 0);
      if (side === Side.client) this.clientIsTls ??= begins;
      if (!begins) {
        this.end(`the ${sideName(side)}'s bytes are no TLS records`);
        return;
      }
      // The client cannot encrypt before it has the server's hello, unless it is early data: both wait for it.
      if (type === Content.application && this.suite === null) return;
      const length = RECORD_HEADER + recordLength.read(view, 0);
      if (length > bytes.length) return;
      if (type === Content.application) {
        this.encrypted(side, bytes.subarray(0, RECORD_HEADER), bytes.subarray(RECORD_HEADER, length));
      } else if (type === Content.handshake) {
        this.handshake(side, bytes.subarray(RECORD_HEADER, length));
      }
      records.consume(length);
    }
  }

  private encrypted(side: Side, header: Uint8Array, body: Uint8Array): void {
    const direction = this.sides[side];
    if (!direction.encrypted) {
      direction.encrypted = true;
      const { clientHandshake, serverHandshake } = this.secrets;
      direction.protection = RecordProtection.of(
        this.suite!,
        side === Side.client ? clientHandshake : serverHandshake,
        side === Side.client,
      );
    }
    if (direction.protection === null) return;
    const plain = direction.protection.open(header, body);
    if (plain === null) {
      this.refused++;
      return;
    }
    this.opened++;
    // Section 5.2: content, its type, and zeros as padding.
    let end = plain.length;
    while (end > 0 && plain[end - 1] === 0) end--;
    if (end === 0) return;
    const type = plain[end - 1];
    const content = plain.subarray(0, end - 1);
    if (type === Content.application) this.events.application(side, content);
    else if (type === Content.handshake) this.handshake(side, content);
  }

  private handshake(side: Side, fragment: Uint8Array): void {
    const { messages } = this.sides[side];
    messages.append(fragment);
    while (this.problem === null && messages.length >= MESSAGE_HEADER) {
      const bytes = messages.content;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      const length = MESSAGE_HEADER + messageLength.read(view, 0);
      if (length > MESSAGE_HEADER + MESSAGE_MAXIMUM)
        this.end(`a handshake message of the ${sideName(side)} is too long`);
      if (length > bytes.length) return;
      this.message(side, view, bytes, length);
      messages.consume(length);
    }
  }

  /** The message of `length` bytes that `view` and `bytes` begin with. */
  private message(side: Side, view: DataView, bytes: Buffer, length: number): void {
    const direction = this.sides[side];
    const type = messageType.read(view, 0);
    const whole = MESSAGE_HEADER + random.at + random.size <= length;
    if (!direction.encrypted) {
      const hello = helloMessage(view, 0, length);
      if (type === Message.clientHello && side === Side.client && hello !== null && whole) {
        // After a retry the hello comes again, with the same random.
        if (this.clientRandom === null) this.events.clientHello(hello);
        this.clientRandom = random.read(view, MESSAGE_HEADER);
      } else if (type === Message.serverHello && side === Side.server && hello !== null && whole) {
        if (random.read(view, MESSAGE_HEADER) !== RETRY) this.serverHello(hello);
      }
    } else if (type === Message.encryptedExtensions) {
      this.alpn = helloMessage(view, 0, length)?.alpn[0] ?? null;
    } else if (type === Message.certificate) {
      this.identities[side] = uriOf(bytes.subarray(MESSAGE_HEADER, length));
    } else if (type === Message.finished && this.suite !== null) {
      const { clientApplication, serverApplication } = this.secrets;
      direction.protection = RecordProtection.of(
        this.suite,
        side === Side.client ? clientApplication : serverApplication,
      );
    } else if (type === Message.keyUpdate) {
      direction.protection?.update();
    }
  }

  private serverHello(hello: TlsHello): void {
    this.events.serverHello(hello);
    const suite = CIPHER_SUITES.get(hello.cipherSuite);
    if (hello.version !== TLS13 || suite === undefined || this.clientRandom === null) {
      this.end(
        hello.version !== TLS13
          ? 'the server chose a version other than TLS 1.3, which is not decrypted'
          : suite === undefined
            ? 'the server chose a cipher suite that is not decrypted'
            : "the client's hello was not captured",
      );
      return;
    }
    this.suite = suite;
    this.secrets = this.keyLog.find(this.clientRandom) ?? {};
    const count = Object.values(this.secrets).filter(({ length }) => length === suite.hashLength).length;
    this.keys = count === 4 ? 'found' : count > 0 ? 'partial' : 'missing';
    this.pump(Side.client);
  }
}

export function sideName(side: Side): string {
  return side === Side.client ? 'client' : 'server';
}

/**
 * First URI among the names of the first certificate; SPIFFE puts its one there. A Certificate message (section 4.4.2):
 *
 *   | context <8> | list <24> of | certificate <24> | extensions <16> |
 */
function uriOf(message: Buffer): string | null {
  const list = message.length > 0 ? 1 + message[0] + 3 : message.length;
  if (list + 3 > message.length) return null;
  const from = list + 3;
  const to = from + message.readUIntBE(list, 3);
  if (to > message.length) return null;
  try {
    const names = new X509Certificate(message.subarray(from, to)).subjectAltName ?? '';
    // A name with a comma or a quote in it is in quotes, as JSON has them.
    const [, quoted, plain] = /(?:^|, )URI:(?:("(?:[^"\\]|\\.)*")|([^,]*))/.exec(names) ?? [];
    return quoted === undefined ? (plain ?? null) : JSON.parse(quoted);
  } catch {
    return null; // no certificate that OpenSSL knows how to read
  }
}
