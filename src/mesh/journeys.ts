/**
 * Journeys: one request through the mesh as the three TCP connections that carry it - from the application to its
 * ztunnel, HBONE from there to the other ztunnel, and from that to the application it is for - each with the places
 * where its SYN was captured.
 *
 * Connections of one client address are joined by time and by where they lead. HTTP/2 carries many streams in one
 * connection, so several journeys may share their second part. Each join says how sure it is; what decrypted HBONE
 * says goes before what times suggest.
 */
import type { PacketEvidence } from '../check/findings.ts';
import type { Evidence, HboneConnection, HboneStream } from '../decrypt/hbone-record.ts';
import type { Ambient } from './ambient.ts';
import { endText, type Handshake, type Hop } from './handshakes.ts';
import { HBONE_PORT, IstioVni, OUTBOUND_PORT } from './istio.ts';
import type { Mode } from './verdict.ts';

const MAX_JOURNEYS = 1000;
/** Seconds within which ztunnel opens its connection: its own connect timeout. */
const WINDOW = 10;
/** How sure a join is: by decrypted authority, by the one candidate there is, by the nearest of several. */
const Sure = { told: 0.95, only: 0.7, nearest: 0.4 } as const;

export interface HopRecord {
  /** Device, or file, as the capture names it. */
  place: string;
  /** Under which VNI the SYN travelled there; null for bare. */
  vni: number | null;
  time: string;
  /** Microseconds since the hop before. */
  sinceBefore: number | null;
  evidence: PacketEvidence;
}

export interface LegRecord {
  connection: string;
  /** That this connection belongs to the leg before it; 1 for the first. */
  confidence: number;
  /** What joins it. */
  because: string;
  answered: boolean;
  hops: HopRecord[];
}

export interface ConnectRecord {
  authority: string | null;
  baggage: string | null;
  forwarded: string | null;
  traceparent: string | null;
  status: number | null;
  /** First lines inside, where they are HTTP/1. */
  innerRequest: string | null;
  innerResponse: string | null;
  request: PacketEvidence | null;
}

export interface JourneyRecord {
  client: string;
  /** Where the application wanted to; null where only HBONE was seen. */
  destination: string | null;
  /** That these connections belong together; null where there is one alone. */
  confidence: number | null;
  app: LegRecord | null;
  hbone: LegRecord | null;
  connect: ConnectRecord | null;
  delivery: LegRecord | null;
}

interface Parts {
  readonly app: Handshake | null;
  readonly hbone: Handshake | null;
  readonly connection: HboneConnection | null;
  readonly stream: HboneStream | null;
  readonly sure: number;
  readonly because: string;
}

export function journeysOf(ambient: Ambient, mode: Mode): JourneyRecord[] {
  const all = [...ambient.handshakes.all.values()].sort((a, b) => a.seconds - b.seconds);
  return new Joiner(all, ambient.hbone, mode).join();
}

class Joiner {
  private readonly all: readonly Handshake[];
  private readonly connections: readonly HboneConnection[];
  private readonly mode: Mode;
  private readonly byClient = new Map<string, Handshake[]>();
  private readonly hboneOf = new Map<string, HboneConnection[]>();
  private readonly takenStreams = new Set<HboneStream>();
  private readonly takenDeliveries = new Set<Handshake>();
  private readonly usedConnections = new Set<HboneConnection>();

  constructor(all: readonly Handshake[], connections: readonly HboneConnection[], mode: Mode) {
    this.all = all;
    this.connections = connections;
    this.mode = mode;
    for (const handshake of all) push(this.byClient, handshake.client, handshake);
    for (const connection of connections) push(this.hboneOf, connection.client.address, connection);
  }

  join(): JourneyRecord[] {
    const parts = this.all
      .filter((handshake) => this.isApp(handshake))
      .slice(0, MAX_JOURNEYS)
      .map((app) => this.withHbone(app));
    // Where the application was not captured, HBONE still tells of requests.
    for (const connection of this.connections) {
      const rest = connection.streams.filter((stream) => !this.takenStreams.has(stream));
      const hbone = this.handshakeOf(connection);
      const because = 'HBONE connection of its own';
      for (const stream of rest) parts.push({ app: null, hbone, connection, stream, sure: 1, because });
      if (connection.streams.length === 0 && !this.usedConnections.has(connection))
        parts.push({ app: null, hbone, connection, stream: null, sure: 1, because });
    }
    return parts.slice(0, MAX_JOURNEYS).map((part) => this.record(part));
  }

  /** Opened by an application of the mesh: caught by the tunnel for what goes out, or on the loopback of its pod. */
  private isApp(handshake: Handshake): boolean {
    if (handshake.serverPort === HBONE_PORT) return false;
    if (this.mode === 'iptables+geneve') return handshake.vnis.has(IstioVni.istioout);
    return this.mode === 'in-pod' && handshake.onLoopback && handshake.serverPort === OUTBOUND_PORT;
  }

  private handshakeOf({ client, server }: HboneConnection): Handshake | null {
    return (
      this.byClient
        .get(client.address)
        ?.find(
          (one) =>
            one.clientPort === client.port && one.server === server.address && one.serverPort === server.port,
        ) ?? null
    );
  }

  private withHbone(app: Handshake): Parts {
    const none = { app, hbone: null, connection: null, stream: null, sure: 0, because: '' };
    const connections = this.hboneOf.get(app.client) ?? [];
    const told = this.toldStream(app, connections);
    if (told) {
      const { connection, stream } = told;
      this.takenStreams.add(stream);
      this.usedConnections.add(connection);
      const because = `CONNECT to ${stream.authority} right after the SYN`;
      return { app, hbone: this.handshakeOf(connection), connection, stream, sure: Sure.told, because };
    }
    const near = connections.filter((connection) => {
      // Streams of decrypted connections tell where they lead; those that lead elsewhere are none of this.
      if (connection.streams.length > 0) return false;
      const begin = startOf(connection, this.handshakeOf(connection));
      return begin >= app.seconds && begin <= app.seconds + WINDOW;
    });
    if (near.length === 0) return none;
    const fresh = near.filter((connection) => !this.usedConnections.has(connection));
    const [connection] = fresh.length > 0 ? fresh : near;
    this.usedConnections.add(connection);
    const [sure, because] =
      near.length === 1
        ? [Sure.only, 'the only HBONE connection of this client soon after']
        : [Sure.nearest, `the nearest of ${near.length} HBONE connections of this client soon after`];
    return { app, hbone: this.handshakeOf(connection), connection, stream: null, sure, because };
  }

  /** The first CONNECT behind the SYN that no journey has, with the port that the application asked for. */
  private toldStream(
    app: Handshake,
    connections: readonly HboneConnection[],
  ): { connection: HboneConnection; stream: HboneStream } | null {
    let best: { connection: HboneConnection; stream: HboneStream; at: number } | null = null;
    const port = app.onLoopback ? null : `:${app.serverPort}`;
    for (const connection of connections)
      for (const stream of connection.streams) {
        const { request, authority } = stream;
        if (request === null || authority === null || this.takenStreams.has(stream)) continue;
        if (port !== null && !authority.endsWith(port)) continue;
        const at = timeOf(request);
        if (at < app.seconds || at > app.seconds + WINDOW) continue;
        if (best === null || at < best.at) best = { connection, stream, at };
      }
    return best;
  }

  /** The connection that the far ztunnel opens to the application, under the client's address. */
  private deliveryOf({ app, hbone, connection, stream }: Parts): { leg: Handshake; sure: number } | null {
    const server = connection?.server.address;
    if (server === undefined || connection === null) return null;
    const from = stream?.request ? timeOf(stream.request) : startOf(connection, hbone);
    // ztunnel answers CONNECT when it has its connection to the application.
    const until = stream?.response ? timeOf(stream.response) : from + WINDOW;
    const port = portOf(stream?.authority) ?? (app && !app.onLoopback ? app.serverPort : null);
    const near = (this.byClient.get(connection.client.address) ?? []).filter(
      (one) =>
        one !== app &&
        one.server === server &&
        one.serverPort !== HBONE_PORT &&
        (port === null || one.serverPort === port) &&
        one.seconds >= from &&
        one.seconds <= until &&
        !one.vnis.has(IstioVni.istioout) &&
        !this.takenDeliveries.has(one),
    );
    if (near.length === 0) return null;
    this.takenDeliveries.add(near[0]);
    return { leg: near[0], sure: near.length === 1 ? Sure.only : Sure.nearest };
  }

  private record(parts: Parts): JourneyRecord {
    const { app, hbone, connection, stream, sure, because } = parts;
    const delivery = this.deliveryOf(parts);
    const appLeg = app && legRecord(app, 1, 'SYN of the application');
    const hboneLeg =
      hbone !== null ? legRecord(hbone, sure, because) : connection && bareLeg(connection, sure, because);
    const deliveryLeg =
      delivery &&
      legRecord(delivery.leg, delivery.sure, 'opened under the address of the client, soon after');
    const client = app?.client ?? connection!.client.address;
    const destination = app ? endText(app.server, app.serverPort) : (stream?.authority ?? null);
    const joined = [appLeg, hboneLeg, deliveryLeg].filter((leg) => leg !== null);
    return {
      client,
      destination,
      confidence:
        joined.length < 2
          ? null
          : Math.round(joined.reduce((product, leg) => product * leg.confidence, 1) * 100) / 100,
      app: appLeg,
      hbone: hboneLeg,
      connect: stream && connectRecord(stream),
      delivery: deliveryLeg,
    };
  }
}

function push<V>(map: Map<string, V[]>, key: string, value: V): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

function timeOf({ seconds, nanoseconds }: Evidence): number {
  return seconds + nanoseconds / 1e9;
}

function startOf(connection: HboneConnection, handshake: Handshake | null): number {
  return handshake?.seconds ?? timeOf(connection.first);
}

function portOf(authority: string | null | undefined): number | null {
  const port = /:(\d{1,5})$/.exec(authority ?? '');
  return port ? Number(port[1]) : null;
}

function legRecord(handshake: Handshake, confidence: number, because: string): LegRecord {
  let before: Hop | null = null;
  const hops = [...handshake.hops]
    .sort((a, b) => a.seconds - b.seconds)
    .map((hop) => {
      const record = {
        place: hop.place,
        vni: hop.vni < 0 ? null : hop.vni,
        time: hop.time,
        sinceBefore: before && Math.round((hop.seconds - before.seconds) * 1e6),
        evidence: hop.evidence,
      };
      before = hop;
      return record;
    });
  return { connection: handshake.text, confidence, because, answered: handshake.answers > 0, hops };
}

/** A connection whose SYN is not there. */
function bareLeg(
  { client, server, serverHello }: HboneConnection,
  confidence: number,
  because: string,
): LegRecord {
  return {
    connection: `${endText(client.address, client.port)} > ${endText(server.address, server.port)}`,
    confidence,
    because,
    answered: serverHello !== null,
    hops: [],
  };
}

function connectRecord(stream: HboneStream): ConnectRecord {
  const { authority, baggage, forwarded, traceparent, status, innerRequest, innerResponse, request } = stream;
  return {
    authority,
    baggage,
    forwarded,
    traceparent,
    status,
    innerRequest,
    innerResponse,
    request: request && { file: request.file, packet: request.number },
  };
}
