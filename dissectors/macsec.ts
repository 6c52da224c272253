/**
 * MACsec (IEEE 802.1AE clause 9): the security tag, which follows EtherType 88e5.
 *
 *   0     1    2               6               14
 *   | TCI | SL | packet number | SCI, if SC    | secure data ... | ICV 16 |
 *
 * Bits of the TCI: V 0x80, ES 0x40, SC 0x20, SCB 0x10, E 0x08, C 0x04, AN 0x03. With E or C set the data are opaque;
 * with neither they are only signed: an EtherType and its payload. SL is the length of the data where they are
 * shorter than 48 bytes.
 */
import { ether, flag, u8, u16, u32 } from '../src/core/field.ts';
import { Stop } from '../src/core/layers.ts';
import { defineProtocol, table } from '../src/core/protocol.ts';
import { etherTypeName } from './names/ethertypes.ts';

const etherType = table('ethertype');

const TAG = 6;
const CHANNEL_IDENTIFIER = 8;
/** Of the default cipher suites, GCM-AES-128 and -256. */
export const CHECK_VALUE = 16;

const version = u8('macsec.TCI.V', 'VER', 0, { mask: 0x80, base: 'hex' });
const endStation = flag('macsec.TCI.ES', 'ES', 0, 0x40);
export const secureChannel = flag('macsec.TCI.SC', 'SC', 0, 0x20);
export const singleCopy = flag('macsec.TCI.SCB', 'SCB', 0, 0x10);
const encrypted = flag('macsec.TCI.E', 'E', 0, 0x08);
const changed = flag('macsec.TCI.C', 'C', 0, 0x04);
export const association = u8('macsec.AN', 'AN', 0, { mask: 0x03, base: 'hex' });
export const shortLength = u8('macsec.SL', 'Short length', 1, { mask: 0x3f });
export const packetNumber = u32('macsec.PN', 'Packet number', 2);

export const system = ether('macsec.SCI.system_identifier', 'System Identifier', 6);
const port = u16('macsec.SCI.port_identifier', 'Port Identifier', 12);
/** Relative to the end of the tag. */
const type = u16('macsec.etype', 'Ethertype', 0, { base: 'hex', values: etherTypeName });

export const tagBytes = (view: DataView, start: number) =>
  secureChannel.read(view, start) ? TAG + CHANNEL_IDENTIFIER : TAG;
export const isOpaque = (view: DataView, start: number) =>
  encrypted.read(view, start) || changed.read(view, start);

export const macsec = defineProtocol({
  name: 'macsec',
  title: '802.1AE Security tag',
  reference: 'IEEE 802.1AE',
  fields: [
    version,
    endStation,
    secureChannel,
    singleCopy,
    encrypted,
    changed,
    association,
    shortLength,
    packetNumber,
  ],
  detailFields: [system, port, type],
  minLength: TAG,
  on: [['ethertype', 0x88e5]],
  step(view, start, layers) {
    if (version.read(view, start) !== 0) {
      layers.stop = Stop.unknown;
      return;
    }
    const data = start + tagBytes(view, start);
    layers.body = data;
    if (isOpaque(view, start)) return;
    // The check value, and padding behind it, are not the payload's.
    const length = shortLength.read(view, start);
    layers.trim(length === 0 ? Math.max(data, layers.limit - CHECK_VALUE) : data + length);
    layers.body = data + 2;
    if (layers.body <= layers.end) layers.next(etherType, type.read(view, data));
  },
  details(out) {
    const { view, start, body } = out;
    const data = start + tagBytes(view, start);
    if (data > body) return;
    if (secureChannel.read(view, start)) {
      out.field(system, start);
      out.field(port, start);
    }
    if (data + 2 <= body && !isOpaque(view, start)) out.field(type, data);
  },
  info: (view, start) =>
    `${isOpaque(view, start) ? 'Encrypted' : 'Integrity only'}, packet ${packetNumber.read(view, start)}, AN ${association.read(view, start)}`,
});
