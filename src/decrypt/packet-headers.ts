/** HTTP/2 header fields beside the packets that completed them. */
import type { Dissector } from '../core/dissector.ts';
import type { FlowRoles } from '../core/outline.ts';
import type { DecryptedRecord } from '../core/record.ts';
import type { Packet } from '../pipeline.ts';
import { HboneReader } from './hbone.ts';
import type { HeaderField } from './hpack.ts';
import type { KeyLog } from './key-log.ts';

/** Header fields that Wireshark has fields of their own for, besides those for any name and value. */
const OWN_FIELDS: ReadonlyMap<string, string> = new Map([
  [':method', 'http2.headers.method'],
  [':authority', 'http2.headers.authority'],
  [':scheme', 'http2.headers.scheme'],
  [':path', 'http2.headers.path'],
  [':status', 'http2.headers.status'],
]);

/** The header fields of one block, in the order they were sent. */
interface PacketHeaders {
  readonly stream: number;
  readonly fields: readonly HeaderField[];
}

/**
 * Ask it, in one of its forms, of every packet of a capture in order. Nothing is read before there are secrets:
 * most captures have none.
 */
export class PacketHeaderReader {
  private readonly keyLog: KeyLog;
  private readonly reader: HboneReader;
  private found: PacketHeaders[] = [];

  constructor(dissector: Dissector, roles: FlowRoles, keyLog: KeyLog) {
    this.keyLog = keyLog;
    this.reader = new HboneReader(dissector, roles, {
      keyLog,
      ports: 'any',
      headers: (_, stream, fields) => this.found.push({ stream, fields }),
    });
  }

  private read(packet: Packet): readonly PacketHeaders[] {
    if (this.found.length > 0) this.found = [];
    if (!this.keyLog.isEmpty) this.reader.packet(packet);
    return this.found;
  }

  /** For packets that nobody wants to see: connections go on in them. */
  skip(packet: Packet): void {
    this.read(packet);
  }

  records(packet: Packet): DecryptedRecord[] {
    return this.read(packet).map(headersRecord);
  }

  /** In one line, '' where the packet completed nothing. */
  text(packet: Packet): string {
    return this.read(packet).map(headersText).join('; ');
  }

  /** As lines of a tree, not yet safe for a terminal. */
  lines(packet: Packet): string[] {
    return this.read(packet).flatMap(headersLines);
  }

  /** What the user should know at the end, one sentence each. */
  remarks(): string[] {
    const connections = this.reader.records();
    const remarks: string[] = [];
    if (!connections.some(({ keys }) => keys === 'found' || keys === 'partial')) {
      const ofVersion13 = connections.filter(({ keys }) => keys !== null).length;
      remarks.push(
        ofVersion13 === 0
          ? 'the key log opened nothing: no TLS 1.3 handshake was captured'
          : `the key log opened nothing: it has secrets of none of the ${ofVersion13} TLS 1.3 connections`,
      );
    }
    const refused = connections.reduce((sum, { decrypted }) => sum + decrypted.refused, 0);
    if (refused > 0)
      remarks.push(`${refused} TLS records do not authenticate with the secrets of the key log`);
    const { ignored } = this.reader;
    if (ignored > 0) remarks.push(`${ignored} TLS handshakes were left closed: too many connections`);
    return remarks;
  }
}

/** As a record: Wireshark's names for the stream, for any header field and for those of `OWN_FIELDS`. */
function headersRecord({ stream, fields }: PacketHeaders): DecryptedRecord {
  const record: DecryptedRecord['fields'] = { 'http2.streamid': stream };
  if (fields.length > 0) {
    record['http2.header.name'] = fields.map(([name]) => name);
    record['http2.header.value'] = fields.map(([, value]) => value);
  }
  for (const [name, value] of fields) {
    const own = OWN_FIELDS.get(name);
    if (own !== undefined)
      record[own] ??= /^[0-9]{3}$/.test(value) && name === ':status' ? Number(value) : value;
  }
  return { protocol: 'http2', fields: record };
}

/** In one line: "HEADERS[1]: CONNECT 10.0.0.1:80". */
function headersText({ stream, fields }: PacketHeaders): string {
  const value = (name: string) => fields.find((field) => field[0] === name)?.[1];
  const target = value(':path') ?? value(':authority') ?? '';
  const method = value(':method');
  const what = method === undefined ? value(':status') : `${method} ${target}`;
  return what === undefined ? `HEADERS[${stream}]` : `HEADERS[${stream}]: ${what}`;
}

function headersLines({ stream, fields }: PacketHeaders): string[] {
  return [
    'HyperText Transfer Protocol 2 (decrypted)',
    `  Stream Identifier: ${stream}`,
    ...fields.map(([name, value]) => `  Header: ${name}: ${value}`),
  ];
}
