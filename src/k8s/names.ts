/** Names that Kubernetes has for addresses, put beside them. */
import { printable } from '../core/text.ts';

/** Makes names out of `kubectl get pods,svc,nodes -A -o json`; null for what is none. */
export function kubeNames(document: unknown): KubeNames | null {
  const list = at(document, 'items');
  const items = Array.isArray(list) ? list : isObject(document) ? [document] : [];
  const owners = new Map<string, Owner>();
  let known = 0;
  for (const item of items) {
    const kind = textAt(item, 'kind') ?? textAt(document, 'kind')?.replace(/List$/, '');
    const read = kind === undefined || !Object.hasOwn(KINDS, kind) ? undefined : KINDS[kind];
    if (read === undefined) continue;
    known++;
    for (const owner of read(item)) {
      const before = owners.get(owner.address);
      if (
        before === undefined ||
        owner.rank > before.rank ||
        (owner.rank === before.rank && owner.since > before.since)
      )
        owners.set(owner.address, owner);
    }
  }
  if (known === 0) return null;
  return new KubeNames(new Map([...owners.values()].map(({ address, name }) => [address, printable(name)])));
}

/** Who has an address. Of several the highest rank, and among them the latest. */
interface Owner {
  readonly address: string;
  readonly name: string;
  readonly rank: number;
  readonly since: string;
}

const Rank = { service: 0, node: 1, pending: 2, running: 3 } as const;

const KINDS: Readonly<Record<string, (item: unknown) => Owner[]>> = {
  Pod: pod,
  Service: service,
  Node: node,
};

/** 'default/client@node1'. */
function pod(item: unknown): Owner[] {
  const phase = textAt(item, 'status', 'phase');
  // What has ended has given its address back; on the host's network the address is the node's.
  if (phase === 'Succeeded' || phase === 'Failed' || at(item, 'spec', 'hostNetwork') === true) return [];
  const host = textAt(item, 'spec', 'nodeName');
  return owners(
    [textAt(item, 'status', 'podIP'), ...textsAt(item, 'ip', 'status', 'podIPs')],
    `${qualified(item)}${host === undefined ? '' : `@${host}`}`,
    phase === 'Running' ? Rank.running : Rank.pending,
    textAt(item, 'status', 'startTime') ?? textAt(item, 'metadata', 'creationTimestamp'),
  );
}

/** 'service:default/web'. */
function service(item: unknown): Owner[] {
  const lists = [at(item, 'spec', 'clusterIPs'), at(item, 'spec', 'externalIPs')];
  const addresses = lists.flatMap((list) => (Array.isArray(list) ? list : []));
  return owners(
    [
      textAt(item, 'spec', 'clusterIP'),
      ...addresses,
      ...textsAt(item, 'ip', 'status', 'loadBalancer', 'ingress'),
    ],
    `service:${qualified(item)}`,
    Rank.service,
    textAt(item, 'metadata', 'creationTimestamp'),
  );
}

/** 'node:node1'. */
function node(item: unknown): Owner[] {
  const name = textAt(item, 'metadata', 'name') ?? '?';
  return owners(textsAt(item, 'address', 'status', 'addresses'), `node:${name}`, Rank.node, undefined);
}

function owners(
  addresses: readonly unknown[],
  name: string,
  rank: number,
  since: string | undefined,
): Owner[] {
  return addresses
    .filter((address): address is string => typeof address === 'string' && /[.:]/.test(address))
    .map((address) => ({ address: address.toLowerCase(), name, rank, since: since ?? '' }));
}

function qualified(item: unknown): string {
  return `${textAt(item, 'metadata', 'namespace') ?? '?'}/${textAt(item, 'metadata', 'name') ?? '?'}`;
}

type JsonObject = Readonly<Record<string, unknown>>;
function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function at(value: unknown, ...path: readonly string[]): unknown {
  let found = value;
  for (const key of path) {
    if (!isObject(found) || !Object.hasOwn(found, key)) return undefined;
    found = found[key];
  }
  return found;
}

function textAt(value: unknown, ...path: readonly string[]): string | undefined {
  const found = at(value, ...path);
  return typeof found === 'string' ? found : undefined;
}

/** Texts under `key` of the objects in a list. */
function textsAt(value: unknown, key: string, ...path: readonly string[]): (string | undefined)[] {
  const list = at(value, ...path);
  return Array.isArray(list) ? list.map((item) => textAt(item, key)) : [];
}

/** Addresses in a text, with the port behind them: IPv4, IPv6, IPv6 in brackets. */
const ADDRESSES =
  /(?<![\w.:])(?:(\d{1,3}(?:\.\d{1,3}){3})(?::\d+)?|\[([\da-f:.]+)\](?::\d+)?|([\da-f]{0,4}(?::[\da-f]{0,4}){2,7}))(?![\w:]|\.\d)/gi;

/** Keys of records that hold an address, or a list of them, and what their names go by. */
const NAMED_KEYS: Readonly<Record<string, string>> = {
  src: 'srcName',
  dst: 'dstName',
  tunnelEndpoints: 'tunnelEndpointNames',
  ends: 'endNames',
};

export class KubeNames {
  private readonly byAddress: ReadonlyMap<string, string>;

  constructor(byAddress: ReadonlyMap<string, string>) {
    this.byAddress = byAddress;
  }

  /** The name of an address as captures and findings write it; null where it has none. */
  of(address: string | null): string | null {
    return (address === null ? undefined : this.byAddress.get(address)) ?? null;
  }

  /** The addresses in a text that have names, each once. */
  within(text: string): { address: string; name: string }[] {
    const found = new Map<string, string>();
    for (const [, v4, bracketed, v6] of text.matchAll(ADDRESSES)) {
      const address = v4 ?? bracketed ?? v6;
      const name = this.of(address);
      if (name !== null) found.set(address, name);
    }
    return [...found].map(([address, name]) => ({ address, name }));
  }

  /** The text with each name behind its address: '10.0.0.1:80 (default/web@node1)'. */
  beside(text: string): string {
    return text.replace(ADDRESSES, (whole, v4?: string, bracketed?: string, v6?: string) => {
      const name = this.of(v4 ?? bracketed ?? v6 ?? null);
      return name === null ? whole : `${whole} (${name})`;
    });
  }

  /** The record with names behind the addresses that have one: `srcName` behind `src`. */
  record(record: object): object {
    const named: Record<string, unknown> = {};
    for (const [key, value] of Object.entries(record)) {
      named[key] = Array.isArray(value)
        ? value.map((item) => (isObject(item) ? this.record(item) : item))
        : value;
      const name = Object.hasOwn(NAMED_KEYS, key) ? this.deep(value) : null;
      if (name !== null) named[NAMED_KEYS[key]] = name;
    }
    return named;
  }

  /** Names of an address, or of a list of addresses or of pairs of them; null where none has one. */
  private deep(value: unknown): unknown {
    if (!Array.isArray(value)) return typeof value === 'string' ? this.of(value) : null;
    const names = value.map((item) =>
      Array.isArray(item) ? item.map((one) => this.of(one)) : this.of(item),
    );
    return names.flat().every((name) => name === null) ? null : names;
  }
}
