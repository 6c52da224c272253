/** What is known of Istio's ambient mode from its sources; see docs/rules/istio.md. */
import { HBONE_PORT } from '../decrypt/hbone-record.ts';

export { HBONE_PORT };

/** VNIs of the two tunnels between a node and its ztunnel (istio-cni 1.18 to 1.20, constants.go). */
export const IstioVni = { istioin: 1000, istioout: 1001 } as const;
export type IstioVni = (typeof IstioVni)[keyof typeof IstioVni];

export interface Device {
  readonly vni: IstioVni;
  /** Network device of the node, and of the ztunnel pod. */
  readonly node: string;
  readonly ztunnel: string;
  /** Addresses of the two, in a /30 of their own, as 32-bit numbers. */
  readonly nodeAddress: number;
  readonly ztunnelAddress: number;
  readonly direction: 'inbound' | 'outbound';
}

export const DEVICES: readonly Device[] = [
  {
    vni: IstioVni.istioin,
    node: 'istioin',
    ztunnel: 'pistioin',
    nodeAddress: 0xc0a87e01, // 192.168.126.1
    ztunnelAddress: 0xc0a87e02,
    direction: 'inbound',
  },
  {
    vni: IstioVni.istioout,
    node: 'istioout',
    ztunnel: 'pistioout',
    nodeAddress: 0xc0a87f01, // 192.168.127.1
    ztunnelAddress: 0xc0a87f02,
    direction: 'outbound',
  },
];

export function deviceOf(vni: number): Device | undefined {
  return DEVICES.find((device) => device.vni === vni);
}

/** Where ztunnel listens for what applications send, inside a pod (1.21 and later). */
export const OUTBOUND_PORT = 15001;
/** Where it takes what comes to pods as plain text. */
export const INBOUND_PORT = 15006;
/** Address that probes of the kubelet come from in in-pod mode (HOST_PROBE_SNAT_IP), 32 bits. */
export const PROBE_ADDRESS = 0xa9fe077f; // 169.254.7.127
/** The same for IPv6: of 1.21 and 1.22, and of later releases; in words of 32 bits. */
export const PROBE_ADDRESSES6: readonly (readonly [number, number, number, number])[] = [
  [0xe9ac1e77, 0x90ca399f, 0x4d6dece2, 0x2f9b3164],
  [0xfd169254, 0x71271337, 0xffffffff, 0xffffffff],
];
