/**
 * Generic Network Virtualization Encapsulation (RFC 8926 section 3.4).
 *
 *    0                   1                   2                   3
 *   |Ver|  Opt Len  |O|C|    Rsvd.  |          Protocol Type        |
 *   |        Virtual Network Identifier (VNI)       |    Reserved   |
 *   ~                    Variable-Length Options                    ~
 *
 * and each option (section 3.5):
 *
 *   |          Option Class         |C|    Type     |R|R|R| Length  |
 *   ~                  Variable-Length Option Data                  ~
 *
 * Lengths count words of four bytes: options without the fixed header, option data without the option's.
 */
import { flag, u8, u16, u24 } from '../src/core/field.ts';
import { Stop } from '../src/core/layers.ts';
import { type Details, defineProtocol, table } from '../src/core/protocol.ts';
import { etherTypeName } from './names/ethertypes.ts';
import { geneveClassVendor } from './names/geneve-classes.ts';

const etherType = table('ethertype');

export const version = u8('geneve.version', 'Version', 0, { mask: 0xc0 });
/** Wireshark calls this and every option's length geneve.option.length; two facts need two names. */
export const optionsLength = u8('geneve.options_length', 'Options Length', 0, {
  mask: 0x3f,
  scale: 4,
  unit: ' bytes',
});
export const oam = flag('geneve.flags.oam', 'Operations, Administration and Management Frame', 1, 0x80);
export const critical = flag('geneve.flags.critical', 'Critical Options Present', 1, 0x40);
const reservedFlags = u8('geneve.flags.reserved', 'Reserved', 1, { mask: 0x3f });
export const protocolType = u16('geneve.proto_type', 'Protocol Type', 2, {
  base: 'hex',
  values: etherTypeName,
});
export const vni = u24('geneve.vni', 'Virtual Network Identifier (VNI)', 4, { base: 'dechex' });
const reserved = u8('geneve.reserved', 'Reserved', 7);

const optionClass = u16('geneve.option.class', 'Class', 0, { base: 'hex', values: geneveClassVendor });
const optionType = u8('geneve.option.type', 'Type', 2, { base: 'hex' });
const optionCritical = flag('geneve.option.type.critical', 'Critical Option', 2, 0x80);
const optionReserved = u8('geneve.option.flags.reserved', 'Reserved', 3, { mask: 0xe0 });
const optionLength = u8('geneve.option.length', 'Length', 3, { mask: 0x1f, scale: 4, unit: ' bytes' });

export const HEADER = 8;
const OPTION_HEADER = 4;
const OPTION_TABLE = 'geneve.option';

const headerBytes = (view: DataView, start: number) => HEADER + optionsLength.read(view, start);
const optionBytes = (view: DataView, at: number) => OPTION_HEADER + optionLength.read(view, at);

function details(out: Details): void {
  const { view, start, body } = out;
  const claimed = start + headerBytes(view, start);
  const criticalSet = critical.read(view, start);
  let criticalSeen = false;
  /** All options were looked at. */
  let complete = body === claimed;
  // An Opt Len past the datagram's end is no list of options: what follows is as likely the payload.
  const listed = claimed <= out.limit ? body : start;
  for (let at = start + HEADER; at < listed; ) {
    const room = body - at;
    const size = room < OPTION_HEADER ? OPTION_HEADER : optionBytes(view, at);
    if (size > room) {
      // Cut by the capture is no fault of the sender; past Opt Len is (section 3.5: endpoints drop it silently).
      if (size > claimed - at) {
        out.remark(
          'geneve.option-overrun',
          'error',
          at,
          room,
          `option of ${size} bytes runs past the ${claimed - at} left by Opt Len`,
        );
      }
      complete = false;
      break;
    }
    const isCritical = optionCritical.read(view, at);
    criticalSeen ||= isCritical;
    out.option({
      table: OPTION_TABLE,
      class: optionClass.read(view, at),
      type: optionType.read(view, at),
      critical: isCritical,
      vendor: geneveClassVendor(optionClass.read(view, at)) ?? null,
      offset: at,
      headerLength: OPTION_HEADER,
      dataLength: size - OPTION_HEADER,
    });
    if (optionReserved.read(view, at) !== 0) {
      out.remark(
        'geneve.option-reserved',
        'note',
        at + 3,
        1,
        'reserved bits of the option are set; receivers ignore them',
      );
    }
    at += size;
  }
  if (version.read(view, start) !== 0) {
    out.remark(
      'geneve.version',
      'error',
      start,
      1,
      `version ${version.read(view, start)} is unknown: endpoints drop the packet`,
    );
  }
  if (criticalSeen && !criticalSet) {
    out.remark(
      'geneve.critical-without-c',
      'warning',
      start + 1,
      1,
      'a critical option, but the C bit of the header is clear (RFC 8926 section 3.5)',
    );
  } else if (criticalSet && !criticalSeen && complete) {
    out.remark(
      'geneve.c-without-critical',
      'warning',
      start + 1,
      1,
      'the C bit is set, but no option is critical (RFC 8926 section 3.4)',
    );
  }
  if (reservedFlags.read(view, start) !== 0 || reserved.read(view, start) !== 0) {
    out.remark(
      'geneve.reserved',
      'note',
      start + 1,
      7,
      'reserved bits of the header are set; receivers ignore them',
    );
  }
  if (oam.read(view, start)) {
    out.remark(
      'geneve.oam',
      'note',
      start + 1,
      1,
      'O bit: a control message, its payload is not tenant traffic',
    );
  }
}

export const geneve = defineProtocol({
  name: 'geneve',
  title: 'Generic Network Virtualization Encapsulation',
  reference: 'RFC 8926',
  fields: [version, optionsLength, oam, critical, reservedFlags, protocolType, vni, reserved],
  detailFields: [optionClass, optionType, optionCritical, optionReserved, optionLength],
  minLength: HEADER,
  on: [['udp.port', 6081]],
  step(view, start, layers) {
    if (version.read(view, start) !== 0) {
      layers.stop = Stop.unknown; // section 3.4: an unknown version says nothing about the bytes that follow
      return;
    }
    layers.body = start + headerBytes(view, start);
    layers.next(etherType, protocolType.read(view, start));
  },
  plain: {
    is: [[version, 0]],
    header: { field: optionsLength, plus: HEADER },
    next: { table: etherType, field: protocolType },
    vni,
  },
  details,
  // Section 3.3: the destination port is never reversed, so a source port of 6081 alone is a client's chance.
  plausible: (view, start, end) =>
    end - start >= HEADER &&
    version.read(view, start) === 0 &&
    reservedFlags.read(view, start) === 0 &&
    reserved.read(view, start) === 0 &&
    etherTypeName(protocolType.read(view, start)) !== undefined &&
    start + headerBytes(view, start) <= end,
  flow: {
    tunnel: {
      name: 'geneve',
      vni: vni.read,
      options: {
        table: OPTION_TABLE,
        from: HEADER,
        minimum: OPTION_HEADER,
        length: optionLength,
        class: optionClass,
        type: optionType,
      },
    },
  },
});
