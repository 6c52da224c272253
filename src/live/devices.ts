/** What can be captured on: names from the capture program, what they are from iproute2 where it is there. */
import { execFile } from 'node:child_process';
import { networkInterfaces } from 'node:os';
import { promisify } from 'node:util';
import { CaptureError } from '../errors.ts';
import { chooseBackend, findProgram } from './backend.ts';
import { enterNamespace } from './namespace.ts';

export interface InterfaceRecord {
  type: 'interface';
  schema: 1;
  name: string;
  description: string | null;
  /** libpcap's, in small letters: up, running, loopback, wireless, connected... */
  flags: string[];
  /** The kind of virtual device, by its name in Linux: veth, bridge, vxlan, geneve... */
  kind: string | null;
  /** Of a vxlan or geneve device that has one. */
  vni: number | null;
  mtu: number | null;
  mac: string | null;
  /** With the length of the prefix. */
  addresses: string[];
}

type Details = Pick<InterfaceRecord, 'kind' | 'vni' | 'mtu' | 'mac' | 'addresses'>;

/** What `ip -json -details address` says of a device, as far as it is read here. */
interface IpDevice {
  readonly ifname?: string;
  readonly mtu?: number;
  readonly link_type?: string;
  readonly address?: string;
  readonly linkinfo?: { readonly info_kind?: string; readonly info_data?: { readonly id?: number } };
  readonly addr_info?: readonly { readonly local?: string; readonly prefixlen?: number }[];
}

const NOTHING: Details = { kind: null, vni: null, mtu: null, mac: null, addresses: [] };

/** `3.lo (Loopback) [Up, Running, Loopback]`, of dumpcap `3. lo (Loopback)` */
const LISTED = /^\d+\. ?(\S+)(?: \((.*)\))?(?: \[(.*)\])?$/;

/**
 * Devices in the order of libpcap: those in use come first.
 *
 * @throws {UsageError} There is no program to capture with.
 */
export async function listDevices(
  namespace: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Promise<InterfaceRecord[]> {
  const entering = namespace === undefined ? [] : enterNamespace(namespace, env.PATH);
  const { name: backend, command } = chooseBackend('auto', env.PATH);
  if (backend === 'cap') throw new CaptureError('interfaces', 'tcpdump or dumpcap is needed to list them');
  const listed = await output([...entering, ...command, '-D']);
  if (listed === null) throw new CaptureError(namespace ?? 'interfaces', `${backend} -D does not list them`);
  const details = await describe(entering, env.PATH);
  const devices: InterfaceRecord[] = [];
  for (const line of listed.split('\n')) {
    const [, name, description, flags] = LISTED.exec(line) ?? [];
    if (name === undefined) continue;
    devices.push({
      type: 'interface',
      schema: 1,
      name,
      description: description ?? null,
      flags: (flags?.toLowerCase().split(', ') ?? []).filter((flag) => flag !== 'none'),
      ...(details.get(name) ?? NOTHING),
    });
  }
  return devices;
}

async function describe(
  entering: readonly string[],
  searchPath: string | undefined,
): Promise<Map<string, Details>> {
  const ip = process.platform === 'linux' ? findProgram('ip', searchPath) : null;
  const text = ip === null ? null : await output([...entering, ip, '-json', '-details', 'address']);
  if (text !== null) {
    const devices = JSON.parse(text) as IpDevice[];
    return new Map(devices.map((device) => [device.ifname ?? '', ipDetails(device)]));
  }
  const details = new Map<string, Details>();
  if (entering.length > 0) return details; // Node sees its own namespace only
  for (const [name, addresses = []] of Object.entries(networkInterfaces())) {
    const mac = addresses.find(({ internal }) => !internal)?.mac ?? null;
    const cidrs = addresses.map(({ address, cidr }) => cidr ?? address);
    details.set(name, { ...NOTHING, mac, addresses: cidrs });
  }
  return details;
}

function ipDetails({ mtu, link_type, address, linkinfo, addr_info }: IpDevice): Details {
  return {
    kind: linkinfo?.info_kind ?? null,
    vni: linkinfo?.info_data?.id ?? null,
    mtu: mtu ?? null,
    mac: link_type === 'ether' ? (address ?? null) : null,
    addresses: (addr_info ?? []).flatMap(({ local, prefixlen }) =>
      local === undefined ? [] : [`${local}/${prefixlen}`],
    ),
  };
}

/** What the command prints, null where it fails. */
async function output([program, ...args]: readonly string[]): Promise<string | null> {
  try {
    return (await promisify(execFile)(program, args, { maxBuffer: 64 << 20 })).stdout;
  } catch {
    return null;
  }
}
