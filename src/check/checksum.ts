/** UDP checksums (RFC 768, RFC 8200 section 8.1), with what offload leaves in their place. */
import { routing, segmentsLeft } from '../../dissectors/ipv6-extensions.ts';
import { checksum as tcpChecksum } from '../../dissectors/tcp.ts';
import { checksum, length } from '../../dissectors/udp.ts';
import type { Layers } from '../core/layers.ts';
import type { FlowRoles } from '../core/outline.ts';

/**
 * `partial`: the sum of the pseudo header alone, which the network card completes (Linux' CHECKSUM_PARTIAL); seen on
 * the host that sends. `unknown`: not all bytes are there.
 */
export type ChecksumState = 'right' | 'wrong' | 'partial' | 'unknown';

const TCP = 6;
const UDP = 17;

function sum(view: DataView, from: number, to: number): number {
  let total = 0;
  let at = from;
  for (; at + 1 < to; at += 2) total += view.getUint16(at);
  if (at < to) total += view.getUint8(at) << 8;
  return total;
}

function fold(total: number): number {
  let folded = total;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000);
  return folded;
}

/**
 * Sum of the pseudo header that the addresses of layer `network` make for `bytes` of a protocol. NaN where a source route
 * names another destination than that: the last one counts (RFC 8200 section 8.1).
 */
function pseudoSum(
  roles: FlowRoles,
  view: DataView,
  layers: Layers,
  network: number,
  transport: number,
  protocol: number,
  bytes: number,
): number {
  for (let i = network + 1; i < transport; i++)
    if (roles.protocols[layers.protocol(i)] === routing && segmentsLeft.read(view, layers.start(i)) > 0)
      return Number.NaN;
  const addresses = roles.protocols[layers.protocol(network)].flow?.addresses;
  if (!addresses) return Number.NaN;
  const [source, destination] = addresses;
  const at = layers.start(network);
  return (
    sum(view, at + source.at, at + source.at + source.size) +
    sum(view, at + destination.at, at + destination.at + destination.size) +
    protocol +
    bytes
  );
}

/** Whether the TCP or UDP layer `transport` awaits its checksum: it has the sum of its pseudo header so far. */
export function awaitsChecksum(
  roles: FlowRoles,
  view: DataView,
  layers: Layers,
  network: number,
  transport: number,
): boolean {
  if (network < 0 || transport < 0) return false;
  const { name } = roles.protocols[layers.protocol(transport)];
  const field = name === 'tcp' ? tcpChecksum : name === 'udp' ? checksum : null;
  const start = layers.start(transport);
  if (field === null || start + field.at + field.size > layers.endOf(transport)) return false;
  const bytes = layers.limitOf(transport) - start;
  const pseudo = pseudoSum(roles, view, layers, network, transport, name === 'tcp' ? TCP : UDP, bytes);
  return fold(pseudo) === field.read(view, start);
}

/** State of the checksum of the UDP layer `transport`, which is not 0, between the addresses of layer `network`. */
export function udpChecksumState(
  roles: FlowRoles,
  view: DataView,
  layers: Layers,
  network: number,
  transport: number,
): ChecksumState {
  const start = layers.start(transport);
  const claimed = length.read(view, start);
  if (start + claimed > layers.endOf(transport)) return 'unknown';
  const pseudo = pseudoSum(roles, view, layers, network, transport, UDP, claimed);
  if (Number.isNaN(pseudo)) return 'unknown';
  if (fold(pseudo + sum(view, start, start + claimed)) === 0xffff) return 'right';
  return fold(pseudo) === checksum.read(view, start) ? 'partial' : 'wrong';
}
