/**
 * Internet Key Exchange header (RFC 7296 section 3.1; version 1: RFC 2408 section 3.1).
 *
 *   |                    IKE SA initiator's SPI, 64                 |
 *   |                    IKE SA responder's SPI, 64                 |
 *   | next payload  |  MjVer| MnVer | exchange type |     flags     |
 *   |                          message ID                           |
 *   |                            length                             |
 */
import { bytes, flag, u8, u32 } from '../src/core/field.ts';
import { type Details, defineProtocol } from '../src/core/protocol.ts';
import { hexNumber } from '../src/core/text.ts';

const EXCHANGES: Readonly<Record<number, string>> = {
  1: 'Base',
  2: 'Identity Protection (Main Mode)',
  3: 'Authentication Only',
  4: 'Aggressive',
  5: 'Informational',
  6: 'Transaction (Config Mode)',
  32: 'Quick Mode',
  33: 'New Group Mode',
  34: 'IKE_SA_INIT',
  35: 'IKE_AUTH',
  36: 'CREATE_CHILD_SA',
  37: 'INFORMATIONAL',
  38: 'IKE_SESSION_RESUME',
  43: 'IKE_INTERMEDIATE',
};

const initiatorSpi = bytes('isakmp.ispi', 'Initiator SPI', 0, 8);
const responderSpi = bytes('isakmp.rspi', 'Responder SPI', 8, 8);
const nextPayload = u8('isakmp.nextpayload', 'Next payload', 16);
const version = u8('isakmp.version', 'Version', 17, { show: (value) => `${value >>> 4}.${value & 15}` });
const exchangeType = u8('isakmp.exchangetype', 'Exchange type', 18, { values: EXCHANGES });
const flags = u8('isakmp.flags', 'Flags', 19, { base: 'hex' });
const messageId = u32('isakmp.messageid', 'Message ID', 20, { base: 'hex' });
const length = u32('isakmp.length', 'Length', 24);
// Version 2 (RFC 7296 section 3.1)
const fromInitiator = flag('isakmp.flag_i', 'Initiator', 19, 0x08);
const higherVersion = flag('isakmp.flag_v', 'Version', 19, 0x10);
const isResponse = flag('isakmp.flag_r', 'Response', 19, 0x20);
// Version 1 (RFC 2408 section 3.1)
const encrypted = flag('isakmp.flag_e', 'Encryption', 19, 0x01);
const commit = flag('isakmp.flag_c', 'Commit', 19, 0x02);
const authenticated = flag('isakmp.flag_a', 'Authentication', 19, 0x04);

const HEADER = 28;

const isVersion2 = (view: DataView, start: number) => version.read(view, start) >>> 4 === 2;

function details(out: Details): void {
  const { view, start, limit } = out;
  const bits = isVersion2(view, start)
    ? [fromInitiator, higherVersion, isResponse]
    : [encrypted, commit, authenticated];
  for (const bit of bits) out.field(bit, start);
  const claimed = length.read(view, start);
  if (claimed < HEADER || claimed > limit - start) {
    out.remark(
      'isakmp.length',
      'warning',
      start + 24,
      4,
      `length ${claimed}, the message has ${limit - start} bytes`,
    );
  }
}

/** Whether a datagram can be IKE: a version and an exchange that exist, a length that fits. */
export function plausibleIke(view: DataView, start: number, end: number): boolean {
  if (end - start < HEADER) return false;
  const major = version.read(view, start) >>> 4;
  return (
    (major === 1 || major === 2) &&
    EXCHANGES[exchangeType.read(view, start)] !== undefined &&
    length.read(view, start) >= HEADER
  );
}

export const isakmp = defineProtocol({
  name: 'isakmp',
  title: 'Internet Security Association and Key Management Protocol',
  reference: 'RFC 7296',
  fields: [initiatorSpi, responderSpi, nextPayload, version, exchangeType, flags, messageId, length],
  detailFields: [fromInitiator, higherVersion, isResponse, encrypted, commit, authenticated],
  minLength: HEADER,
  on: [['udp.port', 500]],
  step() {},
  details,
  info(view, start) {
    const exchange = exchangeType.read(view, start);
    const name = EXCHANGES[exchange] ?? `Exchange ${exchange}`;
    const roles = isVersion2(view, start)
      ? ` ${fromInitiator.read(view, start) ? 'Initiator' : 'Responder'} ${isResponse.read(view, start) ? 'Response' : 'Request'}`
      : '';
    return `${name} MID=${hexNumber(messageId.read(view, start), 2).slice(2)}${roles}`;
  },
  plausible: plausibleIke,
  application: true,
});
