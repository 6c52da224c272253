/** One HBONE connection being read: TCP streams in order, TLS opened, HTTP/2 streams noted. */
import type { TlsHello } from '../../dissectors/tls.ts';
import { asciiText } from '../core/text.ts';
import { type Budget, ByteStream } from './byte-stream.ts';
import type {
  Evidence,
  HboneClientHello,
  HboneConnection,
  HboneEnd,
  HboneServerHello,
  HboneStream,
} from './hbone-record.ts';
import type { HeaderField } from './hpack.ts';
import { Http2Session } from './http2.ts';
import type { KeyLog } from './key-log.ts';
import { Side, sideName, TlsSession } from './tls-session.ts';

/** Streams kept per connection; ztunnel itself opens a new one after 100 at a time. */
const MAX_STREAMS = 4096;
/** Characters kept of a header field, and of a line inside the tunnel. */
const MAX_TEXT = 4096;
const MAX_LINE = 256;

const HTTP_REQUEST = /^[A-Z]{3,16} [!-~]+ HTTP\/1\.[01]$/;
const HTTP_STATUS = /^HTTP\/1\.[01] [1-5][0-9]{2}(?: [\t -~]*)?$/;

/** Told of header fields as they are decoded, while the packet that completed them is at hand. */
export type HeadersListener = (side: Side, stream: number, fields: readonly HeaderField[]) => void;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

class Stream {
  readonly record: Mutable<HboneStream>;
  /** First bytes inside the tunnel by `Side`; null once they are judged. */
  readonly heads: [string | null, string | null] = ['', ''];

  constructor(id: number) {
    this.record = {
      id,
      method: null,
      authority: null,
      path: null,
      baggage: null,
      traceparent: null,
      forwarded: null,
      request: null,
      status: null,
      response: null,
      sent: 0,
      received: 0,
      innerRequest: null,
      innerResponse: null,
      reset: null,
    };
  }
}

/** Header fields of a request that are kept, and what they are called in the record. */
const REQUEST_FIELDS: ReadonlyMap<
  string,
  'method' | 'authority' | 'path' | 'baggage' | 'traceparent' | 'forwarded'
> = new Map([
  [':method', 'method'],
  [':authority', 'authority'],
  [':path', 'path'],
  ['baggage', 'baggage'],
  ['traceparent', 'traceparent'],
  ['forwarded', 'forwarded'],
]);

export class ConnectionReader {
  /** An earlier connection of the same ends. */
  readonly earlier: ConnectionReader | null;
  /** Set by the owner: the packet being read. */
  now: Evidence;
  private readonly client: HboneEnd;
  private readonly server: HboneEnd;
  private readonly first: Evidence;
  private readonly directions: readonly [ByteStream, ByteStream];
  private readonly tls: TlsSession;
  private readonly http: Http2Session;
  private readonly streams = new Map<number, Stream>();
  private moreStreams = 0;
  private clientHello: HboneClientHello | null = null;
  private serverHello: HboneServerHello | null = null;
  /** Sequence numbers of SYNs by side, -1 where none was seen. */
  private readonly syn: [number, number] = [-1, -1];
  /** False where the first packet is from the middle: nothing is read then. */
  readonly begun: boolean;

  constructor(
    ends: { client: HboneEnd; server: HboneEnd },
    options: {
      readonly begun: boolean;
      readonly first: Evidence;
      readonly earlier: ConnectionReader | null;
      readonly keyLog: KeyLog;
      readonly budget: Budget;
      readonly headers: HeadersListener | undefined;
    },
  ) {
    const { keyLog, budget, headers, first, earlier, begun } = options;
    this.client = ends.client;
    this.server = ends.server;
    this.first = first;
    this.now = first;
    this.earlier = earlier;
    this.begun = begun;
    this.http = new Http2Session({
      headers: (side, id, fields) => {
        headers?.(side, id, fields);
        this.fields(side, id, fields);
      },
      data: (side, id, bytes) => this.tunnelled(side, id, bytes),
      reset: (_, id, code) => {
        const stream = this.stream(id);
        if (stream !== null) stream.record.reset ??= code;
      },
    });
    this.tls = new TlsSession(keyLog, {
      clientHello: (hello: TlsHello) => {
        const { version, alpn, serverName } = hello;
        this.clientHello = { version, alpn, serverName, evidence: this.now };
      },
      serverHello: ({ version, cipherSuite }) => {
        this.serverHello = { version, cipherSuite, evidence: this.now };
      },
      application: (side, bytes) => this.http.data(side, bytes),
    });
    const deliver = (side: Side) => (bytes: Uint8Array) => this.tls.data(side, bytes);
    this.directions = [
      new ByteStream(budget, deliver(Side.client)),
      new ByteStream(budget, deliver(Side.server)),
    ];
  }

  /** Whether a segment is of this connection, and not of another one of the same ends. */
  accepts(side: Side, sequence: number, isSyn: boolean): boolean {
    if (isSyn && this.syn[side] >= 0) return this.syn[side] === sequence;
    return this.directions[side].accepts(isSyn ? (sequence + 1) >>> 0 : sequence);
  }

  /** A SYN, with which the numbering of the side's bytes begins. */
  synchronise(side: Side, sequence: number): void {
    this.syn[side] = sequence;
    this.expect(side, (sequence + 1) >>> 0);
  }

  /** Says where the side's next byte is, if nothing of it was seen yet. */
  expect(side: Side, sequence: number): void {
    const direction = this.directions[side];
    if (direction.next < 0) direction.next = sequence;
  }

  segment(side: Side, sequence: number, bytes: Uint8Array): void {
    if (!this.begun || this.tls.problem !== null) return;
    const direction = this.directions[side];
    direction.segment(sequence, bytes);
    if (this.tls.problem === null) return;
    // Nobody reads on: free what waits.
    for (const other of this.directions) other.abandon();
  }

  private stream(id: number): Stream | null {
    let stream = this.streams.get(id);
    if (stream === undefined) {
      if (this.streams.size === MAX_STREAMS) return null;
      stream = new Stream(id);
      this.streams.set(id, stream);
    }
    return stream;
  }

  private fields(side: Side, id: number, fields: readonly HeaderField[]): void {
    if (side === Side.client) this.request(id, fields);
    else this.response(id, fields);
  }

  private request(id: number, fields: readonly HeaderField[]): void {
    const known = this.streams.has(id);
    const stream = this.stream(id);
    if (stream === null) {
      this.moreStreams++;
      return;
    }
    const { record } = stream;
    if (known && record.request !== null) return; // trailers
    record.request = this.now;
    for (const [name, value] of fields) {
      const key = REQUEST_FIELDS.get(name);
      if (key !== undefined) record[key] ??= value.slice(0, MAX_TEXT);
    }
  }

  private response(id: number, fields: readonly HeaderField[]): void {
    const record = this.stream(id)?.record;
    if (record === undefined || record.status !== null) return;
    const status = Number(fields.find(([name]) => name === ':status')?.[1]);
    // RFC 9110 section 15.2: 1xx come before the final one.
    if (!(status >= 200 && status <= 999)) return;
    record.status = status;
    record.response = this.now;
  }

  private tunnelled(side: Side, id: number, bytes: Uint8Array): void {
    const stream = this.streams.get(id);
    if (stream === undefined) return;
    const { record, heads } = stream;
    if (side === Side.client) record.sent += bytes.length;
    else record.received += bytes.length;
    const before = heads[side];
    if (before === null) return;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const head = before + asciiText(view, 0, Math.min(bytes.length, MAX_LINE - before.length));
    const end = head.indexOf('\r\n');
    if (end < 0 && head.length < MAX_LINE) {
      heads[side] = head;
      return;
    }
    heads[side] = null;
    const line = head.slice(0, Math.max(end, 0));
    if (side === Side.client && HTTP_REQUEST.test(line)) record.innerRequest = line;
    else if (side === Side.server && HTTP_STATUS.test(line)) record.innerResponse = line;
  }

  private start(): HboneConnection['start'] {
    if (!this.begun) return 'not-captured';
    const { clientIsTls } = this.tls;
    return clientIsTls === null ? 'no-data' : clientIsTls ? 'tls' : 'not-tls';
  }

  private problems(): string[] {
    const problems: string[] = [];
    if (this.tls.problem !== null) problems.push(this.tls.problem);
    if (this.tls.keys === 'missing') problems.push('the key log has no secrets of this connection');
    if (this.tls.keys === 'partial')
      problems.push('the key log has only some of the secrets of this connection');
    if (this.http.problem !== null) problems.push(this.http.problem);
    if (this.tls.refused > 0)
      problems.push(`${this.tls.refused} records do not authenticate: damaged, early data, or other secrets`);
    for (const side of [Side.client, Side.server]) {
      const { missing } = this.directions[side];
      if (missing > 0)
        problems.push(
          `${missing} bytes of the ${sideName(side)} were not captured, nothing after them was read`,
        );
    }
    return problems;
  }

  record(): HboneConnection {
    const { tls } = this;
    return {
      client: this.client,
      server: this.server,
      first: this.first,
      start: this.start(),
      clientHello: this.clientHello,
      serverHello: this.serverHello,
      keys: tls.keys,
      alpn: tls.alpn,
      clientIdentity: tls.identities[Side.client],
      serverIdentity: tls.identities[Side.server],
      decrypted: { opened: tls.opened, refused: tls.refused },
      streams: Array.from(this.streams.values(), ({ record }) => ({ ...record })),
      moreStreams: this.moreStreams,
      problems: this.problems(),
    };
  }
}
