/** Totals for Prometheus, over HTTP. */
import { createServer, type Server } from 'node:http';
import { Counter, Gauge, Registry } from 'prom-client';
import type { LiveControl, LiveInterfaceRecord } from '../capture/capture.ts';
import type { FindingRecord } from '../check/findings.ts';
import { UsageError } from '../errors.ts';
import type { FlowAccounting } from '../flow/accounting.ts';
import { type TunnelTotal, tunnelTotals } from '../flow/tunnel-totals.ts';
import { type VniRecord, vniRecords } from '../flow/vni.ts';

/** Series per metric: who sends packets chooses VNIs and addresses, and Prometheus keeps every series it ever saw. */
const MAX_SERIES = 5000;

const PATH = '/metrics';

/** `9464`, `:9464`, `127.0.0.1:9464`, `[::1]:9464`, `localhost:9464` */
const ADDRESS = /^(?:(?:\[([0-9a-f:.%]+)\]|([\w.-]+))?:)?(\d{1,5})$/i;

/** @throws {UsageError} It is no address. */
export function listenAddress(text: string): { host: string; port: number } {
  const match = ADDRESS.exec(text);
  if (match === null || Number(match[3]) > 65535)
    throw new UsageError(`--metrics ${text}: expected an address and a port, such as 127.0.0.1:9464`);
  return { host: match[1] ?? match[2] ?? '127.0.0.1', port: Number(match[3]) };
}

/** What is served beside the devices' counters. */
export interface Served {
  totals(): { packets: number; bytes: number };
  readonly accounting?: FlowAccounting;
  readonly findings?: () => readonly FindingRecord[];
}

export class MetricsServer {
  private readonly server: Server;
  private readonly registry = new Registry();
  /** Null as long as nothing is captured. */
  private fill: (() => void) | null = null;
  private leftOut = 0;
  private readonly packets = this.counter('packets_total', 'Packets analysed.');
  private readonly bytes = this.counter('bytes_total', 'Bytes of the frames on the wire.');
  private readonly received = this.counter(
    'received_packets_total',
    'Packets that passed the filter.',
    'interface',
  );
  private readonly dropped = this.counter(
    'dropped_packets_total',
    'Packets lost, by whom.',
    'interface',
    'by',
  );
  private readonly capturing = this.gauge(
    'interface_capturing',
    '1 while the interface is captured.',
    'interface',
  );
  private readonly vniPackets = this.counter('vni_packets_total', 'Packets of a VNI.', 'tunnel', 'vni');
  private readonly vniBytes = this.counter('vni_bytes_total', 'Bytes inside the tunnel.', 'tunnel', 'vni');
  private readonly vniOuterBytes = this.counter(
    'vni_outer_bytes_total',
    'Bytes of a VNI with all that is around the inner frames.',
    'tunnel',
    'vni',
  );
  private readonly vniFlows = this.gauge('vni_flows', 'Flows of a VNI.', 'tunnel', 'vni');
  private readonly tunnelPackets = this.counter('tunnel_packets_total', 'Packets.', 'tunnel', 'src', 'dst');
  private readonly tunnelBytes = this.counter(
    'tunnel_outer_bytes_total',
    'Bytes of frames.',
    'tunnel',
    'src',
    'dst',
  );
  private readonly findings = this.gauge('findings', 'What breaks a rule, so far.', 'rule', 'severity');
  private readonly seriesLeftOut = this.gauge(
    'series_left_out',
    `VNIs and tunnels beyond the ${MAX_SERIES} of each with most bytes.`,
  );

  private constructor() {
    this.server = createServer((request, response) => {
      const isRead = request.method === 'GET' || request.method === 'HEAD';
      if (request.url?.split('?')[0] !== PATH || !isRead) {
        response
          .writeHead(isRead ? 404 : 405, { 'Content-Type': 'text/plain' })
          .end(`metrics are at ${PATH}\n`);
      } else if (this.fill === null) {
        response.writeHead(503, { 'Content-Type': 'text/plain' }).end('not capturing yet\n');
      } else {
        this.fill();
        this.registry.metrics().then(
          (text) => response.writeHead(200, { 'Content-Type': this.registry.contentType }).end(text),
          () => response.writeHead(500).end(),
        );
      }
    });
    // The capture decides how long the process lives.
    this.server.unref();
  }

  /** @throws {UsageError} The address is none, or not free. */
  static async listen(address: string): Promise<MetricsServer> {
    const { host, port } = listenAddress(address);
    const metrics = new MetricsServer();
    await new Promise<void>((resolve, reject) => {
      metrics.server.once('error', (error) =>
        reject(new UsageError(`--metrics ${address}: ${error.message}`)),
      );
      metrics.server.listen(port, host, resolve);
    });
    return metrics;
  }

  /** Where scrapes are answered: the port is the system's choice for port 0. */
  get url(): string {
    const address = this.server.address();
    if (address === null || typeof address === 'string') return PATH;
    const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
    return `http://${host}:${address.port}${PATH}`;
  }

  /** Answers scrapes from now on. */
  tell(live: LiveControl, { totals, accounting, findings }: Served): void {
    let asked = Number.NEGATIVE_INFINITY;
    this.fill = () => {
      // For the next scrape: it takes a moment. A scrape each second is the most there should be.
      if (performance.now() - asked >= 1000) live.askCounters();
      asked = performance.now();
      this.registry.resetMetrics();
      this.leftOut = 0;
      const { packets, bytes } = totals();
      this.packets.inc(packets);
      this.bytes.inc(bytes);
      this.fillInterfaces(live.record().interfaces);
      if (accounting) {
        this.fillVnis(vniRecords(accounting));
        this.fillTunnels(tunnelTotals(accounting));
      }
      for (const { rule, severity, count } of findings?.() ?? [])
        this.findings.inc({ rule, severity }, count);
      this.seriesLeftOut.set(this.leftOut);
    };
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  private counter(name: string, help: string, ...labelNames: string[]): Counter {
    return new Counter({ name: `tunscope_${name}`, help, labelNames, registers: [this.registry] });
  }

  private gauge(name: string, help: string, ...labelNames: string[]): Gauge {
    return new Gauge({ name: `tunscope_${name}`, help, labelNames, registers: [this.registry] });
  }

  private fillInterfaces(interfaces: readonly LiveInterfaceRecord[]): void {
    for (const { name, received, dropped, interfaceDropped, ended } of interfaces) {
      this.received.inc({ interface: name }, received);
      if (dropped !== null) this.dropped.inc({ interface: name, by: 'kernel' }, dropped);
      if (interfaceDropped !== null) this.dropped.inc({ interface: name, by: 'interface' }, interfaceDropped);
      this.capturing.set({ interface: name }, ended === null ? 1 : 0);
    }
  }

  private fillVnis(vnis: readonly VniRecord[]): void {
    for (const { protocol, vni, packets, bytes, outerBytes, flows } of this.most(vnis)) {
      const labels = { tunnel: protocol ?? 'none', vni: vni === null ? '' : String(vni) };
      this.vniPackets.inc(labels, packets);
      this.vniBytes.inc(labels, bytes);
      this.vniOuterBytes.inc(labels, outerBytes);
      this.vniFlows.set(labels, flows);
    }
  }

  private fillTunnels(tunnels: readonly TunnelTotal[]): void {
    for (const { protocol, src, dst, packets, outerBytes } of this.most(tunnels)) {
      this.tunnelPackets.inc({ tunnel: protocol, src, dst }, packets);
      this.tunnelBytes.inc({ tunnel: protocol, src, dst }, outerBytes);
    }
  }

  private most<T extends { readonly outerBytes: number }>(totals: readonly T[]): readonly T[] {
    if (totals.length <= MAX_SERIES) return totals;
    this.leftOut += totals.length - MAX_SERIES;
    return [...totals].sort((a, b) => b.outerBytes - a.outerBytes).slice(0, MAX_SERIES);
  }
}
