/** Findings about HBONE, probes and the modes without tunnels. */

import { ipv4WordText, ipv6WordsText } from '../../core/text.ts';
import type { HboneConnection } from '../../decrypt/hbone-record.ts';
import { type Ambient, hboneEvidence } from '../ambient.ts';
import { endText, type Handshake } from '../handshakes.ts';
import { HBONE_PORT, PROBE_ADDRESS, PROBE_ADDRESSES6 } from '../istio.ts';
import { nodeTunnels } from '../node-tunnels.ts';
import { isHboneHello, verdictOf } from '../verdict.ts';
import { notRedirected, plainText, REPEATED } from './connections.ts';
import { istio } from './istio.ts';

const PROBES = new Set([
  ipv4WordText(PROBE_ADDRESS),
  ...PROBE_ADDRESSES6.map(([a, b, c, d]) => ipv6WordsText(a, b, c, d)),
]);
const TLS13 = 0x0304;

export function reportHbone(ambient: Ambient): void {
  const { findings } = ambient.scene;
  for (const connection of ambient.hbone) {
    const wrong = whatIsWrong(connection);
    if (wrong === null) continue;
    const { client, server } = connection;
    findings.report(
      istio.notHbone,
      `${client.address} ${server.address}`,
      [hboneEvidence(connection)],
      () => `${client.address} connects to ${endText(server.address, server.port)} ${wrong}`,
    );
  }
  for (const { about, what, from, src, dst, tally } of ambient.refusals.values())
    if (about === 'hbone' && what !== 'too-big')
      findings.report(
        istio.blocked,
        `${src} ${dst}`,
        tally.evidence,
        () => `${from} refuses HBONE from ${src} to ${dst} with ICMP`,
        tally.count,
      );
  const all = [...ambient.handshakes.all.values()];
  for (const handshake of all) {
    const { text, syns, evidence, answerEvidence, refused } = handshake;
    if (handshake.answers > 0 || (refused === 0 && syns < REPEATED)) continue;
    const rule =
      handshake.serverPort === HBONE_PORT ? istio.blocked : PROBES.has(handshake.client) ? istio.probe : null;
    if (rule === null) continue;
    const how = refused > 0 ? 'answered with RST' : `${syns} SYNs, no answer seen`;
    findings.report(
      rule,
      `${handshake.client} ${handshake.server}`,
      [...evidence, ...answerEvidence],
      () => `${text}: ${how}${rule === istio.blocked ? worksElsewhere(all, handshake) : ''}`,
      syns,
    );
  }
  byMode(ambient, all);
}

/** Null where the beginning is as ztunnel's, or not there. */
function whatIsWrong(connection: HboneConnection): string | null {
  if (connection.start === 'not-tls') return 'without TLS';
  const hello = connection.clientHello;
  if (hello === null || isHboneHello(connection)) return null;
  const wrong = [
    hello.version === TLS13 ? '' : 'without TLS 1.3',
    hello.alpn.includes('h2') ? '' : 'without ALPN h2',
    hello.serverName === null ? '' : `with server name ${hello.serverName}`,
  ];
  return wrong.filter((text) => text !== '').join(', ');
}

function worksElsewhere(all: readonly Handshake[], { server }: Handshake): string {
  const other = all.find((one) => one.server === server && one.serverPort !== HBONE_PORT && one.answers > 0);
  return other === undefined ? '' : `; port ${other.serverPort} of it answers`;
}

/** What only means something where the mode is known. */
function byMode(ambient: Ambient, all: readonly Handshake[]): void {
  const { mode } = verdictOf(ambient, nodeTunnels(ambient));
  if (mode === 'in-pod') {
    const pods = new Set(ambient.hbone.map(({ server }) => server.address));
    for (const handshake of all)
      if (
        pods.has(handshake.server) &&
        handshake.serverPort !== HBONE_PORT &&
        !PROBES.has(handshake.client) &&
        !handshake.onLoopback
      )
        plainText(ambient, handshake);
  }
  if (mode !== 'ebpf') return;
  const pods = new Set(ambient.senders.redirection()?.pods ?? []);
  for (const { address, tally } of ambient.udpSenders.values())
    if (pods.has(address)) notRedirected(ambient, address, tally);
  for (const { client, answers, refused, syns, synPlaces, text, evidence } of all)
    if (pods.has(client) && answers === 0 && refused === 0 && syns >= REPEATED && synPlaces.size === 1)
      ambient.scene.findings.report(
        istio.shot,
        client,
        evidence,
        () => `${text}: ${syns} SYNs at one device, seen nowhere else`,
        syns,
      );
}
