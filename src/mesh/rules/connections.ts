/** Findings about connections that Istio's tunnels redirect, and about what they leave out. */
import type { Ambient } from '../ambient.ts';
import type { Handshake } from '../handshakes.ts';
import { HBONE_PORT, IstioVni } from '../istio.ts';
import { istio } from './istio.ts';

/** SYNs of one attempt from which on it was repeated twice. */
export const REPEATED = 3;
/** Seconds within which ztunnel connects on: its connect timeout. */
const WINDOW = 10;

/** @param nodes addresses of nodes */
export function reportConnections(ambient: Ambient, nodes: ReadonlySet<string>): void {
  const all = [...ambient.handshakes.all.values()];
  for (const handshake of all) {
    const isOutbound = handshake.vnis.has(IstioVni.istioout);
    const isInbound = handshake.vnis.has(IstioVni.istioin);
    if (isOutbound || isInbound) unanswered(ambient, handshake);
    if (isInbound && handshake.serverPort !== HBONE_PORT && !nodes.has(handshake.client))
      plainText(ambient, handshake);
  }
  fastPaths(ambient, all);
  translated(ambient, all);
  for (const { address, tally } of ambient.udpSenders.values())
    if (ambient.tunnels.pods.get(address)) notRedirected(ambient, address, tally);
}

function unanswered({ scene: { findings } }: Ambient, handshake: Handshake): void {
  const { syns, answers, refused, synsAfterAnswer, text, evidence, answerEvidence } = handshake;
  if (answers === 0 && refused === 0 && syns >= REPEATED)
    findings.report(istio.unanswered, text, evidence, () => `${text}: ${syns} SYNs, no answer seen`, syns);
  else if (synsAfterAnswer >= REPEATED - 1)
    findings.report(
      istio.unanswered,
      text,
      [...evidence, ...answerEvidence],
      () => `${text}: a SYN-ACK was seen, and yet the client goes on with SYNs`,
      synsAfterAnswer,
    );
}

export function plainText(
  { scene: { findings } }: Ambient,
  { server, serverPort, client, syns, evidence }: Handshake,
): void {
  findings.report(
    istio.plain,
    `${client} ${server} ${serverPort}`,
    evidence,
    () => `${client} speaks plain text to port ${serverPort} of ${server}`,
    syns,
  );
}

/** A plain connection on from ztunnel, under the client's address, to a pod of this node. */
function fastPaths({ scene: { findings }, tunnels, handshakes }: Ambient, all: readonly Handshake[]): void {
  const byClient = new Map<string, Handshake[]>();
  for (const handshake of all) {
    const list = byClient.get(handshake.client);
    if (list) list.push(handshake);
    else byClient.set(handshake.client, [handshake]);
  }
  for (const app of handshakes.all.values()) {
    if (!app.vnis.has(IstioVni.istioout)) continue;
    const after = byClient
      .get(app.client)!
      .filter((one) => one !== app && one.seconds >= app.seconds && one.seconds <= app.seconds + WINDOW);
    if (after.some(({ serverPort }) => serverPort === HBONE_PORT)) continue;
    const on = after.find(
      ({ vnis, server, serverPort }) =>
        vnis.size === 1 && vnis.has(-1) && serverPort === app.serverPort && tunnels.pods.get(server),
    );
    if (on === undefined) continue;
    findings.report(
      istio.fastPath,
      `${app.client} ${on.server}`,
      [app.evidence[0], on.evidence[0]],
      () => `${app.text} goes on as ${on.text} in plain text`,
    );
  }
}

/** One SYN, by its source and sequence number, to two addresses. */
function translated({ scene: { findings } }: Ambient, all: readonly Handshake[]): void {
  const bare = new Map<string, Handshake>();
  const key = ({ client, clientPort, sequence }: Handshake) => `${client} ${clientPort} ${sequence}`;
  for (const handshake of all) if (handshake.vnis.has(-1)) bare.set(key(handshake), handshake);
  for (const handshake of all) {
    if (!handshake.vnis.has(IstioVni.istioout)) continue;
    const sent = bare.get(key(handshake));
    if (sent === undefined || sent.server === handshake.server) continue;
    findings.report(
      istio.translated,
      `${sent.server} ${sent.serverPort}`,
      [sent.evidence[0], handshake.evidence[0]],
      () => `${sent.text} is redirected as one to ${handshake.server}`,
    );
  }
}

export function notRedirected(
  { scene: { findings } }: Ambient,
  address: string,
  tally: { readonly count: number; readonly evidence: Handshake['evidence'] },
): void {
  findings.report(
    istio.byDesign,
    address,
    tally.evidence,
    () => `UDP of ${address} is not redirected`,
    tally.count,
  );
}
