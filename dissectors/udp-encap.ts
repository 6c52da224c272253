/**
 * UDP Encapsulation of IPsec ESP Packets (RFC 3948 section 2). The first bytes tell what follows:
 *
 *   | 0xff |                       NAT keepalive, nothing else
 *   | 0 0 0 0 |                    non-ESP marker, an IKE message follows
 *   | SPI, never 0 |               ESP from here on
 */
import { computed } from '../src/core/field.ts';
import { defineProtocol, table } from '../src/core/protocol.ts';
import { FIRST_SPI, spi } from './esp.ts';
import { plausibleIke } from './isakmp.ts';

const ipProtocol = table('ip.proto');
const ESP = 50;
const udpPort = table('udp.port');
/** IKE behind the marker is what it is on its own port. */
const IKE = 500;

const keepalive = computed<boolean>('udpencap.nat_keepalive', 'NAT-keepalive packet', 'bool');
const nonEspMarker = computed<boolean>('udpencap.non_esp_marker', 'Non-ESP Marker', 'bool');

const MARKER = 4;

const isKeepalive = (view: DataView, start: number, length: number) =>
  length === 1 && view.getUint8(start) === 0xff;

export const udpEncap = defineProtocol({
  name: 'udpencap',
  title: 'UDP Encapsulation of IPsec Packets',
  reference: 'RFC 3948',
  fields: [],
  detailFields: [keepalive, nonEspMarker],
  minLength: 1,
  on: [['udp.port', 4500]],
  step(view, start, layers) {
    if (isKeepalive(view, start, layers.limit - start)) return;
    layers.body = start + MARKER;
    if (layers.body > layers.end) return;
    if (spi.read(view, start) === 0) {
      layers.next(udpPort, IKE);
      layers.otherKey = IKE; // as with every port: not a fault where applications are left alone
    } else {
      layers.body = start;
      layers.next(ipProtocol, ESP);
    }
  },
  details(out) {
    const { view, start, body, limit } = out;
    if (isKeepalive(view, start, limit - start)) out.computed(keepalive, true, start, 1);
    else if (body === start + MARKER) out.computed(nonEspMarker, true, start, MARKER);
  },
  info(view, start, layer) {
    if (isKeepalive(view, start, layer.limit - start)) return 'NAT-keepalive';
    return layer.body === start ? 'ESP in UDP' : 'IKE in UDP';
  },
  // A NAT may turn the port of one side only.
  plausible(view, start, end) {
    if (isKeepalive(view, start, end - start)) return true;
    if (end - start < 2 * MARKER) return false;
    const first = spi.read(view, start);
    return first === 0 ? plausibleIke(view, start + MARKER, end) : first >= FIRST_SPI;
  },
});
