/**
 * Stream Control Transmission Protocol (RFC 9260 section 3).
 *
 *   |          source port          |       destination port        |
 *   |                       verification tag                        |
 *   |                           checksum                            |
 *
 * then chunks, each padded to four bytes:
 *
 *   |     type      |     flags     |  length, of all but padding   |
 *   ~                             value                             ~
 */
import { flag, u8, u16, u32 } from '../src/core/field.ts';
import { type Details, defineProtocol } from '../src/core/protocol.ts';

const CHUNKS: Readonly<Record<number, string>> = {
  0: 'DATA',
  1: 'INIT',
  2: 'INIT_ACK',
  3: 'SACK',
  4: 'HEARTBEAT',
  5: 'HEARTBEAT_ACK',
  6: 'ABORT',
  7: 'SHUTDOWN',
  8: 'SHUTDOWN_ACK',
  9: 'ERROR',
  10: 'COOKIE_ECHO',
  11: 'COOKIE_ACK',
  12: 'ECNE',
  13: 'CWR',
  14: 'SHUTDOWN_COMPLETE',
  15: 'AUTH',
  16: 'NR_SACK',
  64: 'I_DATA',
  128: 'ASCONF_ACK',
  129: 'PKTDROP',
  130: 'RE_CONFIG',
  132: 'PAD',
  192: 'FORWARD_TSN',
  193: 'ASCONF',
  194: 'I_FORWARD_TSN',
};

const sourcePort = u16('sctp.srcport', 'Source port', 0);
const destinationPort = u16('sctp.dstport', 'Destination port', 2);
const verificationTag = u32('sctp.verification_tag', 'Verification tag', 4, { base: 'hex' });
const checksum = u32('sctp.checksum', 'Checksum', 8, { base: 'hex' });

// Relative to the chunk. TSNs are the raw ones: relative ones need the association.
const chunkType = u8('sctp.chunk_type', 'Chunk type', 0, { values: CHUNKS, list: true });
const chunkFlags = u8('sctp.chunk_flags', 'Chunk flags', 1, { base: 'hex', list: true });
const chunkLength = u16('sctp.chunk_length', 'Chunk length', 2, { list: true });
const unordered = { ...flag('sctp.data_u_bit', 'U-Bit', 1, 0x04), list: true };
const firstSegment = { ...flag('sctp.data_b_bit', 'B-Bit', 1, 0x02), list: true };
const lastSegment = { ...flag('sctp.data_e_bit', 'E-Bit', 1, 0x01), list: true };
const transmissionSequence = u32('sctp.data_tsn_raw', 'Transmission sequence number (absolute)', 4, {
  list: true,
});
const stream = u16('sctp.data_sid', 'Stream identifier', 8, { base: 'hex', list: true });
const streamSequence = u16('sctp.data_ssn', 'Stream sequence number', 10, { list: true });
const payloadProtocol = u32('sctp.data_payload_proto_id', 'Payload protocol identifier', 12, { list: true });
const cumulativeAck = u32('sctp.sack_cumulative_tsn_ack_raw', 'Cumulative TSN ACK (absolute)', 4);
const sackCredit = u32('sctp.sack_a_rwnd', 'Advertised receiver window credit (a_rwnd)', 8);
const gapBlocks = u16('sctp.sack_number_of_gap_blocks', 'Number of gap acknowledgement blocks', 12);
const duplicates = u16('sctp.sack_number_of_duplicated_tsns', 'Number of duplicated TSNs', 14);

/** INIT and INIT ACK begin alike (sections 3.3.2 and 3.3.3); their fields go by two names. */
const initFields = (prefix: 'init' | 'initack') => [
  u32(`sctp.${prefix}_initiate_tag`, 'Initiate tag', 4, { base: 'hex' }),
  u32(`sctp.${prefix}_credit`, 'Advertised receiver window credit (a_rwnd)', 8),
  u16(`sctp.${prefix}_nr_out_streams`, 'Number of outbound streams', 12),
  u16(`sctp.${prefix}_nr_in_streams`, 'Number of inbound streams', 14),
  u32(`sctp.${prefix}_initial_tsn`, 'Initial TSN', 16),
];

/** What chunks have after their header, by type; shown as far as the chunk goes. */
const VALUES: Readonly<Record<number, readonly Parameters<Details['field']>[0][]>> = {
  0: [unordered, firstSegment, lastSegment, transmissionSequence, stream, streamSequence, payloadProtocol],
  1: initFields('init'),
  2: initFields('initack'),
  3: [cumulativeAck, sackCredit, gapBlocks, duplicates],
};

const HEADER = 12;
const CHUNK_HEADER = 4;

/** A chunk may leave out its padding where it is the last. */
const padded = (length: number) => (length + 3) & ~3;

function details(out: Details): void {
  const { view, start, end, limit } = out;
  for (let at = start + HEADER; at + CHUNK_HEADER <= end; ) {
    const type = chunkType.read(view, at);
    const length = chunkLength.read(view, at);
    if (length < CHUNK_HEADER || length > limit - at) {
      out.remark(
        'sctp.chunk-length',
        'error',
        at,
        CHUNK_HEADER,
        `a chunk of ${length} bytes, ${limit - at} are left`,
      );
      return;
    }
    const chunkEnd = Math.min(at + length, end);
    out.open(`${CHUNKS[type] ?? `Type ${type}`} chunk`, at, chunkEnd - at);
    for (const field of [chunkType, chunkFlags, chunkLength]) out.field(field, at);
    for (const field of VALUES[type] ?? []) if (at + field.at + field.size <= chunkEnd) out.field(field, at);
    out.close();
    at += padded(length);
  }
}

export const sctp = defineProtocol({
  name: 'sctp',
  title: 'Stream Control Transmission Protocol',
  reference: 'RFC 9260',
  fields: [sourcePort, destinationPort, verificationTag, checksum],
  detailFields: [chunkType, chunkFlags, chunkLength, ...Object.values(VALUES).flat()],
  minLength: HEADER,
  on: [['ip.proto', 132]],
  step() {},
  details,
  info(view, start, layer) {
    let names = '';
    let at = start + HEADER;
    for (let shown = 0; shown < 8 && at + CHUNK_HEADER <= layer.end; shown++) {
      const type = chunkType.read(view, at);
      names += `${names === '' ? '' : ' '}${CHUNKS[type] ?? `Type ${type}`}`;
      const length = chunkLength.read(view, at);
      if (length < CHUNK_HEADER) break;
      at += padded(length);
    }
    return names;
  },
  flow: { ports: [sourcePort, destinationPort] },
});
