/** What a VNI stands for, as far as its number and what is around it tell. */
import { deviceOf } from './istio.ts';

/** What is known of the traffic of one VNI. */
export interface VniFacts {
  readonly protocol: string | null;
  readonly vni: number | null;
  /** Kinds of options, with the names of their decoders. */
  readonly options: readonly { readonly name: string | null; readonly class: number }[];
  readonly tunnelEndpoints: readonly (readonly [string | null, string | null])[];
  /** By name of the flows' protocols. */
  readonly protocols: Readonly<Record<string, unknown>>;
}

export interface VniMeaning {
  readonly text: string;
  /** Nothing but the number says so, or what others do as well. */
  readonly guess: boolean;
}

const sure = (text: string): VniMeaning => ({ text, guess: false });
const maybe = (text: string): VniMeaning => ({ text, guess: true });

/** By what the names of an option's decoders begin with. */
const BY_OPTION: Readonly<Record<string, (vni: number) => VniMeaning>> = {
  ovn: (vni) => sure(`OVN datapath ${vni}`),
  cilium: (vni) => sure(identityText(vni)),
  aws: () => sure('AWS Gateway Load Balancer'),
  tencent: () => sure('Tencent Gateway Load Balancer'),
  gcp: () => sure('Google Network Security Integration'),
  oxide: (vni) => sure(`Oxide VPC ${vni}`),
};

/** Identities that Cilium keeps for itself (pkg/identity/numericidentity.go). */
const RESERVED = [
  'unknown',
  'host',
  'world',
  'unmanaged',
  'health',
  'init',
  'remote-node',
  'kube-apiserver',
  'ingress',
  'world-ipv4',
  'world-ipv6',
];

function identityText(vni: number): string {
  const name = RESERVED[vni];
  return `Cilium identity ${vni}${name === undefined ? '' : ` (${name})`}`;
}

/** VNIs that products use where nobody says otherwise: VXLAN without options, so that only the number tells. */
const VXLAN_DEFAULTS: ReadonlyMap<number, string> = new Map([
  [1, 'Flannel'],
  [800, 'Azure Gateway Load Balancer, internal'],
  [801, 'Azure Gateway Load Balancer, external'],
  [4096, 'Calico'],
]);

/** Option classes left to the IETF (RFC 8926 section 7). */
const LAST_IETF = 0x00ff;

/** What goes through Istio's tunnels: connections, ARP, and what IPv6 says when a link comes up. */
const ISTIO_INSIDE = new Set(['tcp', 'arp', 'icmpv6']);

/**
 * istioin or istioout. The number never suffices: surely so only where both are between the same two ends, have no
 * options, and nothing inside that Istio does not put there.
 */
function istio(facts: VniFacts, all: readonly VniFacts[]): VniMeaning | null {
  const device = facts.protocol === 'geneve' ? deviceOf(facts.vni!) : undefined;
  if (device === undefined || facts.options.length > 0) return null;
  const isLike = ({ options, protocols }: VniFacts) =>
    options.length === 0 && Object.keys(protocols).every((name) => ISTIO_INSIDE.has(name));
  const pairs = new Set(facts.tunnelEndpoints.map((ends) => ends.join(' ')));
  const partner = all.find(
    ({ protocol, vni, tunnelEndpoints }) =>
      protocol === 'geneve' &&
      vni !== null &&
      vni !== facts.vni &&
      deviceOf(vni) !== undefined &&
      tunnelEndpoints.some((ends) => pairs.has(ends.join(' '))),
  );
  const proven = partner !== undefined && isLike(facts) && isLike(partner);
  return proven ? sure(device.node) : maybe(device.node);
}

/**
 * @param all what is known of all VNIs of the capture
 * @param directional the other direction of its conversations has another VNI
 */
export function vniMeaning(
  facts: VniFacts,
  all: readonly VniFacts[],
  directional: boolean,
): VniMeaning | null {
  const { protocol, vni, options } = facts;
  if (protocol === null || vni === null) return null;
  for (const { name, class: optionClass } of options) {
    const owner = name === null ? undefined : /^[a-z]+/.exec(name)?.[0];
    if (owner !== undefined && Object.hasOwn(BY_OPTION, owner)) {
      const meaning = BY_OPTION[owner](vni);
      // A class of the IETF's, as OVN took before it had its own: others could too.
      return optionClass <= LAST_IETF ? maybe(meaning.text) : meaning;
    }
  }
  const ofIstio = istio(facts, all);
  if (ofIstio) return ofIstio;
  // A VNI for each direction: other programs do it as well.
  if (directional && (protocol === 'geneve' || protocol === 'vxlan')) return maybe(identityText(vni));
  const text = protocol === 'vxlan' ? VXLAN_DEFAULTS.get(vni) : undefined;
  return text === undefined ? null : maybe(text);
}
