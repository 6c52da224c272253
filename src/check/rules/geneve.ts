/** Geneve headers and options against RFC 8926. */

import { geneve, oam, optionsLength, protocolType } from '../../../dissectors/geneve.ts';
import { etherTypeName } from '../../../dissectors/names/ethertypes.ts';
import { checksum, destinationPort, sourcePort, udp } from '../../../dissectors/udp.ts';
import { Stop } from '../../core/layers.ts';
import { type OptionView, table } from '../../core/protocol.ts';
import { optionRemark } from '../../core/record.ts';
import { hexNumber } from '../../core/text.ts';
import type { Packet } from '../../pipeline.ts';
import { RemarkReader } from '../remarks.ts';
import { defineRules, type Observer, type Rule, type RuleSet, type Scene } from '../rule.ts';

const rules = defineRules({
  version: {
    id: 'GNV-01',
    severity: 'error',
    title: 'Unknown Geneve version',
    reference: 'RFC 8926 section 3.4',
    evidence: 'a Geneve header whose version is not 0',
    meaning: 'Every tunnel endpoint has to drop the packet; its payload cannot be read.',
    help: 'Find what sends to this port: it is another protocol, or a damaged header.',
  },
  short: {
    id: 'GNV-02',
    severity: 'error',
    title: 'Geneve header runs past its datagram',
    reference: 'RFC 8926 section 3.4',
    evidence:
      'a UDP payload shorter than 8 bytes, or than 8 and Opt Len words of 4; not where the capture cut it',
    meaning: 'The datagram ends before the header that it announces: endpoints drop it.',
    help: 'Look at the sender and at whatever rewrites packets on the way.',
  },
  overrun: {
    id: 'GNV-03',
    severity: 'error',
    title: 'Geneve option runs past the options',
    reference: 'RFC 8926 section 3.5',
    evidence: 'an option whose length exceeds what Opt Len leaves',
    meaning: 'Endpoints that process options drop the packet without a word.',
    help: 'Correct the lengths that the sender writes: both count words of 4 bytes, that of an option without its header.',
  },
  criticalUnknown: {
    id: 'GNV-04',
    severity: 'warning',
    title: 'Critical option that is not registered here',
    reference: 'RFC 8926 section 3.5',
    evidence: 'an option with the critical bit that no decoder describes',
    meaning: 'An endpoint that does not know the option must drop the packet.',
    help: 'Make sure that every endpoint of this VNI knows the option; give its decoder to tunscope to have it named.',
  },
  criticalWithoutC: {
    id: 'GNV-05',
    severity: 'warning',
    title: 'Critical option, C bit clear',
    reference: 'RFC 8926 section 3.5',
    evidence: 'an option with the critical bit in a header whose C bit is 0',
    meaning: 'The header denies what the option says: endpoints may skip an option that they must not skip.',
    help: 'Known of Linux senders that set options from eBPF, such as Cilium; elsewhere, correct the sender.',
  },
  cWithoutCritical: {
    id: 'GNV-06',
    severity: 'warning',
    title: 'C bit set, no option critical',
    reference: 'RFC 8926 section 3.4',
    evidence: 'a header with the C bit and whole options of which none has the critical bit',
    meaning: 'Endpoints that cannot parse options must drop the packet, for no reason.',
    help: 'Correct the sender: C says that at least one option is critical.',
  },
  reserved: {
    id: 'GNV-07',
    severity: 'note',
    title: 'Reserved bits of Geneve set',
    reference: 'RFC 8926 sections 3.4 and 3.5',
    evidence: 'a reserved bit of the header or of an option that is not 0',
    meaning: 'Receivers have to ignore the bits, yet some middleboxes refuse such packets.',
    help: 'Nothing, unless something on the way drops these packets.',
  },
  oam: {
    id: 'GNV-08',
    severity: 'note',
    title: 'Control messages inside the tunnel',
    reference: 'RFC 8926 section 3.4',
    evidence: 'a header with the O bit',
    meaning: 'The payload is for the endpoint itself and must not be forwarded to a tenant.',
    help: 'Expected where endpoints monitor each other; otherwise find who sets the bit.',
  },
  optionLength: {
    id: 'GNV-09',
    severity: 'warning',
    title: 'Known option with an unexpected length',
    reference: 'RFC 8926 section 3.5.1',
    evidence: 'an option of a registered class and type whose data have another length',
    meaning: 'The length of an option type must not change: receivers misread the option or drop the packet.',
    help: 'Compare the versions of the software at both ends; a new length needs a new type.',
  },
  repeated: {
    id: 'GNV-10',
    severity: 'note',
    title: 'The same option twice in a packet',
    reference: 'RFC 8926 section 3.5',
    evidence: 'two options of the same class and type in one header',
    meaning: 'Allowed, but receivers differ in which of the two they take.',
    help: 'Ask the documentation of the option whether it may be repeated.',
  },
  optionClass: {
    id: 'GNV-11',
    severity: 'note',
    title: 'Option class without an owner',
    reference: 'RFC 8926 section 7',
    evidence:
      'an option of a class that is unassigned, experimental (from 0xff00) or left to the IETF (to 0x00ff)',
    meaning: 'Nothing keeps others from giving the same class another meaning.',
    help: 'Fine in a closed network; register a class before such options meet other software.',
  },
  payload: {
    id: 'GNV-12',
    severity: 'warning',
    title: 'Payload type unknown, or no payload',
    reference: 'RFC 8926 section 3.4',
    evidence:
      'a protocol type that is no EtherType known here, or no byte behind the header although O is clear',
    meaning: 'Endpoints cannot deliver the packet: Linux and Open vSwitch take Ethernet alone by default.',
    help: 'Check the protocol type the sender is configured for; Ethernet is 0x6558.',
  },
  zeroChecksum: {
    id: 'GNV-13',
    severity: 'note',
    title: 'Geneve over IPv4 without UDP checksum',
    reference: 'RFC 8926 section 3.3',
    evidence: 'a UDP checksum of 0 in front of Geneve over IPv4',
    meaning: 'Allowed, and what Linux does by default; damage to VNI or options goes unnoticed.',
    help: 'Turn checksums on (ip link: udpcsum) where the underlay is not trusted to be clean.',
  },
  portReversed: {
    id: 'GNV-14',
    severity: 'warning',
    title: 'Geneve ports reversed',
    reference: 'RFC 8926 section 3.3',
    evidence: 'a Geneve header behind a datagram from port 6081 to another port',
    meaning: 'Answers have to go to the Geneve port as well: endpoints do not listen at the source port.',
    help: 'Look for a NAT or a load balancer that takes the two directions for one UDP connection.',
  },
});

/** Remarks of the dissector that are findings as they are. */
const BY_REMARK: ReadonlyMap<string, Rule> = new Map([
  ['geneve.version', rules.version],
  ['geneve.option-overrun', rules.overrun],
  ['geneve.critical-without-c', rules.criticalWithoutC],
  ['geneve.c-without-critical', rules.cWithoutCritical],
  ['geneve.reserved', rules.reserved],
  ['geneve.option-reserved', rules.reserved],
  ['geneve.oam', rules.oam],
  ['geneve.critical-unknown', rules.criticalUnknown],
  ['geneve.option-length', rules.optionLength],
]);

const udpPort = table('udp.port');
/** Classes of RFC 8926 section 7: to here the IETF's, from there experimental. */
const LAST_IETF = 0x00ff;
const FIRST_EXPERIMENTAL = 0xff00;

class GeneveObserver implements Observer {
  private readonly scene: Scene;
  private readonly geneve: number;
  private readonly udp: number;
  private readonly ipv4: number;
  private readonly reader: RemarkReader;
  private packetNow: Packet | null = null;
  private vniNow = '';
  private readonly optionsNow: number[] = [];

  constructor(scene: Scene) {
    this.scene = scene;
    this.geneve = scene.dissector.registry.indexOf(geneve.name);
    this.udp = scene.dissector.registry.indexOf(udp.name);
    this.ipv4 = scene.dissector.registry.indexOf('ip');
    this.reader = new RemarkReader(
      (code, text) => this.remark(code, text),
      (option) => this.option(option),
    );
  }

  packet(packet: Packet): void {
    const { layers } = packet;
    for (let i = 0; i < layers.ownCount; i++) if (layers.protocol(i) === this.geneve) this.header(packet, i);
  }

  private header(packet: Packet, layer: number): void {
    const { batch, layers } = packet;
    const { view } = batch;
    const start = layers.start(layer);
    const isLast = layer === layers.count - 1;
    this.packetNow = packet;
    this.optionsNow.length = 0;
    if (isLast && layers.partial) {
      this.vniNow = 'Geneve';
      if (layers.stop === Stop.malformed)
        this.report(rules.short, 'a datagram too short for a header of 8 bytes');
      return;
    }
    this.vniNow = `Geneve VNI ${geneve.flow.tunnel.vni(view, start)}`;
    if (isLast && layers.stop === Stop.malformed)
      this.report(
        rules.short,
        `Opt Len announces ${optionsLength.read(view, start)} bytes of options, more than the datagram has`,
      );
    this.reader.read(geneve, view, layers, layer);
    if (isLast) this.payload(view, layer);
    this.ports(view, layer);
  }

  private payload(view: DataView, layer: number): void {
    const { layers } = this.packetNow!;
    const start = layers.start(layer);
    if (layers.stop === Stop.malformed || layers.stop === Stop.truncated || layers.refused) return;
    if (layers.bodyOf(layer) === layers.limitOf(layer)) {
      if (!oam.read(view, start)) this.report(rules.payload, 'no payload, although the O bit is clear');
      return;
    }
    const type = protocolType.read(view, start);
    if (etherTypeName(type) === undefined)
      this.report(rules.payload, `protocol type ${hexNumber(type, 4)} is no known EtherType`);
  }

  private ports(view: DataView, layer: number): void {
    const { layers } = this.packetNow!;
    const below = layer - 1;
    if (below < 0 || layers.protocol(below) !== this.udp) return;
    const start = layers.start(below);
    const { dissector, findings } = this.scene;
    // One finding for all: nearly every sender does it.
    if (checksum.read(view, start) === 0 && below > 0 && layers.protocol(below - 1) === this.ipv4)
      findings.report(
        rules.zeroChecksum,
        'all',
        this.packetNow!,
        () => 'Geneve packets without UDP checksum',
      );
    const destination = destinationPort.read(view, start);
    const source = sourcePort.read(view, start);
    if (
      dissector.lookup(udpPort, source) === this.geneve &&
      dissector.lookup(udpPort, destination) !== this.geneve
    )
      this.report(rules.portReversed, `from port ${source} to port ${destination}`);
  }

  private remark(code: string, text: string): void {
    const rule = BY_REMARK.get(code);
    if (rule) this.report(rule, text);
  }

  private option(option: OptionView): void {
    const remark = optionRemark(this.scene.dissector.registry, option);
    if (remark) this.remark(remark.code, remark.text);
    const key = option.class * 256 + option.type;
    if (this.optionsNow.includes(key))
      this.report(
        rules.repeated,
        `option class ${hexNumber(option.class, 4)} type ${hexNumber(option.type, 2)} more than once`,
      );
    else this.optionsNow.push(key);
    const { class: optionClass, vendor } = option;
    const what =
      optionClass <= LAST_IETF
        ? 'left to the IETF'
        : optionClass >= FIRST_EXPERIMENTAL
          ? 'experimental'
          : vendor === null
            ? 'unassigned'
            : null;
    if (what !== null) this.report(rules.optionClass, `option class ${hexNumber(optionClass, 4)} is ${what}`);
  }

  private report(rule: Rule, text: string): void {
    this.scene.findings.report(
      rule,
      `${this.vniNow} ${text}`,
      this.packetNow!,
      () => `${this.vniNow}: ${text}`,
    );
  }
}

export const geneveRules: RuleSet = {
  rules: Object.values(rules),
  observe: (scene) => new GeneveObserver(scene),
};
