/** Reads HBONE connections out of packets. */

import { acknowledgment, flags, headerLength, sequence, TcpFlag } from '../../dissectors/tcp.ts';
import {
  Content,
  contentType,
  MESSAGE_HEADER,
  Message,
  messageType,
  RECORD_HEADER,
  recordBegins,
} from '../../dissectors/tls.ts';
import type { Dissector } from '../core/dissector.ts';
import type { FlowRoles } from '../core/outline.ts';
import { layerAddress, layerPort } from '../core/record.ts';
import type { Packet, PacketSink } from '../pipeline.ts';
import { Budget } from './byte-stream.ts';
import { ConnectionReader, type HeadersListener } from './hbone-connection.ts';
import { type Evidence, HBONE_PORT, type HboneConnection, type HboneEnd } from './hbone-record.ts';
import { KeyLog } from './key-log.ts';
import { Side } from './tls-session.ts';

/** Connections read, some kilobytes each, and bytes that their streams may keep together. */
const MAX_CONNECTIONS = 16_384;
const MEMORY = 1 << 26;
/** Connections of the same ends that a segment is compared with, the latest first. */
const MAX_EARLIER = 8;

export interface HboneOptions {
  /** Secrets to decrypt with; without them only the open part of each handshake is read. */
  readonly keyLog?: KeyLog;
  /**
   * TCP ports on which HBONE is served: every connection there is reported. With 'any' every connection that begins
   * with a ClientHello is, wherever it is served.
   */
  readonly ports?: readonly number[] | 'any';
  readonly headers?: HeadersListener;
}

/**
 * A sink: give it every packet of a capture, then ask for `records`.
 *
 * Connections are told apart by addresses, ports and sequence numbers, not by VNI: in Istio 1.18 to 1.20 the SYN of a
 * connection travels inside Geneve and everything else bare. Copies of a segment, at several interfaces of the capture,
 * count once.
 */
export class HboneReader implements PacketSink {
  /** Packets that could have begun a connection, had there not been too many. */
  ignored = 0;
  private readonly roles: FlowRoles;
  private readonly tcp: number;
  private readonly keyLog: KeyLog;
  /** Null for any. */
  private readonly ports: ReadonlySet<number> | null;
  private readonly headers: HeadersListener | undefined;
  private readonly budget = new Budget(MEMORY);
  private readonly connections: ConnectionReader[] = [];
  /** The latest connection between two ends. */
  private readonly latest = new Map<string, ConnectionReader>();

  constructor(dissector: Dissector, roles: FlowRoles, options: HboneOptions = {}) {
    this.roles = roles;
    this.tcp = dissector.registry.indexOf('tcp');
    this.keyLog = options.keyLog ?? new KeyLog();
    const { ports = [HBONE_PORT] } = options;
    this.ports = ports === 'any' ? null : new Set(ports);
    this.headers = options.headers;
  }

  packet(packet: Packet): void {
    const { layers, outline, batch } = packet;
    const { transport, network } = outline;
    if (transport < 0 || network < 0 || layers.protocol(transport) !== this.tcp) return;
    const { view } = batch;
    const sourcePort = layerPort(this.roles, layers, view, transport, 0)!;
    const destinationPort = layerPort(this.roles, layers, view, transport, 1)!;
    if (this.ports !== null && !this.ports.has(sourcePort) && !this.ports.has(destinationPort)) return;
    const start = layers.start(transport);
    const body = layers.bodyOf(transport);
    if (layers.partial && transport === layers.count - 1) return;
    if (body < start + headerLength.read(view, start)) return;
    const source = { address: layerAddress(this.roles, layers, view, network, 0)!, port: sourcePort };
    const destination = {
      address: layerAddress(this.roles, layers, view, network, 1)!,
      port: destinationPort,
    };
    this.segment(packet, start, body, layers.endOf(transport), source, destination);
  }

  /** Everything read so far, in the order of the connections' first packets. */
  records(): HboneConnection[] {
    return this.connections.map((connection) => connection.record());
  }

  private segment(
    packet: Packet,
    start: number,
    body: number,
    end: number,
    source: HboneEnd,
    destination: HboneEnd,
  ): void {
    const { bytes, view } = packet.batch;
    const bits = flags.read(view, start);
    const isSyn = (bits & TcpFlag.syn) !== 0;
    const isAnswer = isSyn && (bits & TcpFlag.ack) !== 0;
    const begins = beginsHandshake(view, body, end);
    const side = this.sideOf(source, destination, isAnswer, begins);
    if (side === null) return;
    const [client, server] = side === Side.client ? [source, destination] : [destination, source];
    const first = sequence.read(view, start);
    const isHello = side === Side.client && begins;
    const connection = this.connectionOf(packet, client, server, side, first, isSyn, isHello);
    if (connection === null) return;
    connection.now = evidenceOf(packet);
    if (isSyn) connection.synchronise(side, first);
    // Nothing comes from a server before it has the client's hello.
    if (isAnswer) connection.expect(Side.client, acknowledgment.read(view, start));
    else if (isHello) connection.expect(Side.server, acknowledgment.read(view, start));
    if (end > body) connection.segment(side, isSyn ? (first + 1) >>> 0 : first, bytes.subarray(body, end));
  }

  /** The side that sent a segment, null where the segment is of no interest. */
  private sideOf(source: HboneEnd, destination: HboneEnd, isAnswer: boolean, isHello: boolean): Side | null {
    if (this.ports === null) {
      if (this.latest.has(keyOf(source, destination)) || isHello) return Side.client;
      return this.latest.has(keyOf(destination, source)) ? Side.server : null;
    }
    if (!this.ports.has(destination.port)) return Side.server;
    if (!this.ports.has(source.port)) return Side.client;
    return isAnswer || this.latest.has(keyOf(destination, source)) ? Side.server : Side.client;
  }

  /** The connection a segment belongs to, made if need be; null where there is none for it. */
  private connectionOf(
    packet: Packet,
    client: HboneEnd,
    server: HboneEnd,
    side: Side,
    first: number,
    isSyn: boolean,
    isHello: boolean,
  ): ConnectionReader | null {
    const key = keyOf(client, server);
    const latest = this.latest.get(key) ?? null;
    let connection = latest;
    for (let i = 0; connection !== null && !connection.accepts(side, first, isSyn); i++)
      connection = i === MAX_EARLIER ? null : connection.earlier;
    if (connection !== null && (connection.begun || !isHello)) return connection;
    if (latest !== null && !isSyn && !isHello) return null;
    if (this.connections.length === MAX_CONNECTIONS) {
      this.ignored++;
      return null;
    }
    const made = new ConnectionReader(
      { client, server },
      {
        begun: isSyn || isHello,
        first: evidenceOf(packet),
        earlier: latest,
        keyLog: this.keyLog,
        budget: this.budget,
        headers: this.headers,
      },
    );
    this.connections.push(made);
    this.latest.set(key, made);
    return made;
  }
}

function keyOf(client: HboneEnd, server: HboneEnd): string {
  return `${client.address} ${client.port} ${server.address} ${server.port}`;
}

function evidenceOf({ batch, index, interface: { file } }: Packet): Evidence {
  return {
    file,
    number: batch.number(index),
    seconds: batch.seconds[index],
    nanoseconds: batch.nanoseconds[index],
  };
}

/** Whether the bytes are the beginning of a ClientHello, or of what could be one as far as they go. */
function beginsHandshake(view: DataView, at: number, end: number): boolean {
  return (
    end - at >= RECORD_HEADER + MESSAGE_HEADER &&
    recordBegins(view, at) &&
    contentType.read(view, at) === Content.handshake &&
    messageType.read(view, at + RECORD_HEADER) === Message.clientHello
  );
}
