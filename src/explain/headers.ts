/** Geneve and VXLAN, drawn from the fields that packets are read with. */
import { HEADER as GENEVE_HEADER, geneve } from '../../dissectors/geneve.ts';
import { vxlan } from '../../dissectors/vxlan.ts';
import { wrapped } from '../check/rule-text.ts';
import type { Protocol } from '../core/protocol.ts';
import { bitDiagram, type Cell, cellsOf, sideBySide } from '../output/bit-diagram.ts';

const WIDTH = 80;
const OPTION = 'geneve.option.';
const OPTION_HEADER = 4;

const headerCells = ({ fields }: Protocol): Cell[] => fields.flatMap((field) => cellsOf(field));

function beside(): string[] {
  const [left, right] = [geneve, vxlan].map(
    (protocol) => bitDiagram(headerCells(protocol), protocol.minLength, 16).lines,
  );
  return sideBySide(left, right, [`Geneve (${geneve.reference})`, `VXLAN (${vxlan.reference})`]);
}

const item = (text: string): string[] => {
  const [first, ...rest] = wrapped(text, WIDTH - 2);
  return [`- ${first}`, ...rest.map((line) => `  ${line}`)];
};

const DIFFERENCES = [
  'Both have 8 bytes and a VNI of 24 bits in the same place, over UDP: Geneve at port 6081, VXLAN at 4789 (Linux by default and Flannel: 8472).',
  'Geneve says what it carries (Protocol Type; 0x6558 is Ethernet), VXLAN always carries Ethernet. Only VXLAN-GPE, at port 4790, says so too.',
  'Geneve has options: up to 63 words of 4 bytes, so the header has up to 260 bytes. VXLAN has none; its group policy extension (G, D, A) uses bits that are reserved otherwise.',
  'The source port is a hash of the inner flow, so that the network spreads flows over its paths. Answers go to the same destination port: they are not reversed.',
];

export function explainGeneve(): string[] {
  const option = (geneve.detailFields ?? []).filter(({ name }) => name.startsWith(OPTION));
  return [
    `${geneve.title} (${geneve.reference}), behind UDP`,
    '',
    ...bitDiagram(headerCells(geneve), GENEVE_HEADER).lines,
    '',
    ...wrapped('Each option behind it, in words of 4 bytes:', WIDTH),
    '',
    ...bitDiagram(
      option.flatMap((field) => cellsOf(field)),
      OPTION_HEADER,
    ).lines,
    '',
    ...item('Ver is 0. Opt Len counts the words of all options, Length those of the data of one.'),
    ...item('O: the payload is a control message for the endpoint, not traffic of a tenant.'),
    ...item(
      'C in the header: at least one option is critical. C in an option, its highest type bit: an endpoint that does not know the option has to drop the packet. Devices on the way must not.',
    ),
    ...item(
      'An option is known by its class, which IANA gives to organisations, and its type: tunscope options lists those that are decoded.',
    ),
    '',
    ...beside(),
    '',
    ...DIFFERENCES.flatMap(item),
  ];
}

export function explainVxlan(): string[] {
  return [
    `${vxlan.title} (${vxlan.reference}), behind UDP`,
    '',
    ...bitDiagram(headerCells(vxlan), vxlan.minLength).lines,
    '',
    ...item('I has to be set: the VNI is valid. All other flags are of extensions, and 0 without.'),
    ...item(
      'G, D, A and the group are of the group policy extension: G says that the group is there, D that the endpoint must not learn from this packet, A that the policy was applied.',
    ),
    '',
    ...beside(),
    '',
    ...DIFFERENCES.flatMap(item),
  ];
}
