/** Protocol stacks, made comparable with tshark's frame.protocols. */
import type { PacketRecord } from '../../src/core/record.ts';
import { builtins } from '../../src/index.ts';

/** Entries of frame.protocols that are no header: dispatchers, guesses, leftovers and complaints. */
const PSEUDO: ReadonlySet<string> = new Set([
  'ethertype',
  'pwethheuristic',
  'data',
  '_ws.malformed',
  '_ws.short',
]);

/** Our name to tshark's, where the two differ. */
const NAMES: Readonly<Record<string, string>> = {
  sll2: 'sll', // one dissector for both versions
};

/** Headers that tshark dissects without an entry in frame.protocols. */
const UNLISTED: ReadonlySet<string> = new Set(['vxlan_gpe']);

/** Headers of which tshark lists several in a row once (a stack of labels), or one twice (IGMP, for its version). */
const LISTED_ONCE: ReadonlySet<string> = new Set(['mpls', 'igmp']);

const GRE_ERSPAN = 0x88be;

/** Where the comparison ends, unless a tunnel goes on above. */
const TRANSPORTS: ReadonlySet<string> = new Set(['tcp', 'udp', 'sctp', 'icmp', 'icmpv6', 'igmp']);

const registered = (builtins.protocols ?? []).filter((protocol) => !protocol.application);
const HEADERS: ReadonlySet<string> = new Set(
  registered.map(({ name }) => NAMES[name] ?? name).filter((name) => !UNLISTED.has(name)),
);

/**
 * The part of a stack that is compared: what an ICMP message quotes is no traffic, and what lies above the innermost
 * transport is not the subject here.
 */
function upToTransport(names: readonly string[]): string[] {
  const stack = names.filter((name, i) => !(LISTED_ONCE.has(name) && names[i - 1] === name));
  const icmp = stack.findIndex((name) => name === 'icmp' || name === 'icmpv6');
  if (icmp >= 0) return stack.slice(0, icmp + 1);
  const last = stack.findLastIndex((name) => HEADERS.has(name));
  return last >= 0 && TRANSPORTS.has(stack[last]) ? stack.slice(0, last + 1) : stack;
}

export function ourStack({ layers }: PacketRecord): string[] {
  const own = layers.filter((layer) => layer.quoted !== true);
  const names: string[] = [];
  own.forEach(({ protocol, fields }, i) => {
    if (!UNLISTED.has(protocol)) names.push(NAMES[protocol] ?? protocol);
    // ERSPAN type I is GRE with a protocol number and no header of its own; tshark lists it all the same.
    if (protocol === 'gre' && fields['gre.proto'] === GRE_ERSPAN && own[i + 1]?.protocol === 'eth')
      names.push('erspan');
  });
  return upToTransport(names);
}

export function theirStack(protocols: string): string[] {
  return upToTransport(protocols.split(':').filter((name) => name !== '' && !PSEUDO.has(name)));
}
