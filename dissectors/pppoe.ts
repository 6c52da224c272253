/**
 * PPP over Ethernet (RFC 2516 section 4): discovery (a list of tags) and session (PPP).
 *
 *   0                   1                   2                   3
 *   |  ver  | type  |      code     |           session id          |
 *   |            length             |   payload ...
 *
 * and each tag: | type 16 | length 16 | value |
 */
import { computed, u8, u16 } from '../src/core/field.ts';
import { type Layers, Stop } from '../src/core/layers.ts';
import { type Details, defineProtocol, table } from '../src/core/protocol.ts';
import { asciiText, hexText } from '../src/core/text.ts';

const ppp = table('ppp');

const HEADER = 6;
const TAG_HEADER = 4;

const CODES: Readonly<Record<number, string>> = {
  0: 'Session Data',
  7: 'Active Discovery Offer (PADO)',
  9: 'Active Discovery Initiation (PADI)',
  25: 'Active Discovery Request (PADR)',
  101: 'Active Discovery Session-confirmation (PADS)',
  167: 'Active Discovery Terminate (PADT)',
};

const TAGS: Readonly<Record<number, string>> = {
  0: 'End-Of-List',
  257: 'Service-Name',
  258: 'AC-Name',
  259: 'Host-Uniq',
  260: 'AC-Cookie',
  261: 'Vendor-Specific',
  272: 'Relay-Session-Id',
  288: 'PPP-Max-Payload',
  513: 'Service-Name-Error',
  514: 'AC-System-Error',
  515: 'Generic-Error',
};

const version = u8('pppoe.version', 'Version', 0, { mask: 0xf0 });
const type = u8('pppoe.type', 'Type', 0, { mask: 0x0f });
const code = u8('pppoe.code', 'Code', 1, { base: 'hex', values: CODES });
const session = u16('pppoe.session_id', 'Session ID', 2, { base: 'hex' });
const length = u16('pppoe.payload_length', 'Payload Length', 4);
const fields = [version, type, code, session, length];

const tagType = u16('pppoed.tag', 'Tag', 0, { base: 'hex', values: TAGS, list: true });
const tagLength = u16('pppoed.tag_length', 'Tag Length', 2, { list: true });
const serviceName = computed<string>('pppoed.tags.service_name', 'Service-Name', 'string', { list: true });
const concentratorName = computed<string>('pppoed.tags.ac_name', 'AC-Name', 'string');
const hostUnique = computed<string>('pppoed.tags.host_uniq', 'Host-Uniq', 'bytes');
const cookie = computed<string>('pppoed.tags.ac_cookie', 'AC-Cookie', 'bytes');
const otherData = computed<string>('pppoed.tag.unknown_data', 'Unknown Data', 'bytes', { list: true });

/** Versions and types other than 1 say nothing about what follows. */
const isKnown = (view: DataView, start: number) =>
  version.read(view, start) === 1 && type.read(view, start) === 1;

function value(out: Details, tag: number, at: number, size: number): void {
  const { view } = out;
  switch (tag) {
    case 0x0101:
      out.computed(serviceName, asciiText(view, at, at + size), at, size);
      break;
    case 0x0102:
      out.computed(concentratorName, asciiText(view, at, at + size), at, size);
      break;
    case 0x0103:
      out.computed(hostUnique, hexText(view, at, at + size), at, size);
      break;
    case 0x0104:
      out.computed(cookie, hexText(view, at, at + size), at, size);
      break;
    default:
      out.computed(otherData, hexText(view, at, at + size), at, size);
  }
}

function tags(out: Details): void {
  const { view, body } = out;
  if (!isKnown(view, out.start)) return;
  for (let at = out.start + HEADER; at < body; ) {
    const size = at + TAG_HEADER <= body ? TAG_HEADER + tagLength.read(view, at) : TAG_HEADER;
    if (at + size > body) {
      out.remark('pppoed.tag-length', 'warning', at, body - at, 'a tag runs past the packet');
      return;
    }
    const tag = tagType.read(view, at);
    out.open(TAGS[tag] ?? 'Unknown tag', at, size);
    out.field(tagType, at);
    out.field(tagLength, at);
    if (size > TAG_HEADER) value(out, tag, at + TAG_HEADER, size - TAG_HEADER);
    out.close();
    if (tag === 0) return;
    at += size;
  }
}

/** True where the payload may be read. */
function header(view: DataView, start: number, layers: Layers): boolean {
  if (!isKnown(view, start)) {
    layers.stop = Stop.unknown;
    return false;
  }
  layers.trim(start + HEADER + length.read(view, start));
  return true;
}

export const pppoeDiscovery = defineProtocol({
  name: 'pppoed',
  title: 'PPP-over-Ethernet Discovery',
  reference: 'RFC 2516',
  fields,
  detailFields: [tagType, tagLength, serviceName, concentratorName, hostUnique, cookie, otherData],
  minLength: HEADER,
  on: [['ethertype', 0x8863]],
  step(view, start, layers) {
    if (header(view, start, layers)) layers.body = start + HEADER + length.read(view, start);
  },
  details: tags,
  info: (view, start) => code.show(code.read(view, start)),
});

export const pppoeSession = defineProtocol({
  name: 'pppoes',
  title: 'PPP-over-Ethernet Session',
  reference: 'RFC 2516',
  fields,
  minLength: HEADER,
  on: [['ethertype', 0x8864]],
  step(view, start, layers) {
    if (header(view, start, layers)) layers.next(ppp, 0);
  },
  info: (view, start) => `Session ${session.show(session.read(view, start))}`,
});
