/**
 * Istio's Geneve on other ports than 6081: since 1.19 the first free port from there on. Without a port to tell, the
 * header must be to the bit what istioin and istioout send: no options, Ethernet inside, VNI 1000 or 1001.
 */
import { geneve, HEADER } from '../../dissectors/geneve.ts';
import { definePlugin, defineProtocol, table } from '../core/protocol.ts';
import { IstioVni } from './istio.ts';

const udpPort = table('udp.port');
const [[, GENEVE_PORT]] = geneve.on;
/** Ver 0, no options, no flags, Ethernet. */
const FIRST_WORD = 0x00006558;
const ETHERNET_HEADER = 14;

const shim = defineProtocol({
  name: 'istio_geneve',
  title: "Istio's Geneve on a port of its own choice",
  reference: 'RFC 8926, istio-cni 1.19',
  fields: [],
  minLength: 0,
  on: [],
  step(_view, _start, layers) {
    layers.next(udpPort, GENEVE_PORT);
  },
  heuristic: {
    table: 'udp.port',
    matches(view, start, end) {
      if (end - start < HEADER + ETHERNET_HEADER || view.getUint32(start) !== FIRST_WORD) return false;
      const vni = view.getUint32(start + 4);
      return vni === IstioVni.istioin << 8 || vni === IstioVni.istioout << 8;
    },
  },
});

export const istioPort = definePlugin({ name: 'istio', protocols: [shim] });
