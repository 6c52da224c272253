/** VXLAN headers against RFC 7348, with its group policy and generic protocol extensions. */
import { vlan } from '../../../dissectors/vlan.ts';
import { vxlan } from '../../../dissectors/vxlan.ts';
import { vxlanGpe } from '../../../dissectors/vxlan-gpe.ts';
import { Stop } from '../../core/layers.ts';
import type { Packet } from '../../pipeline.ts';
import { RemarkReader } from '../remarks.ts';
import { defineRules, type Observer, type Rule, type RuleSet, type Scene } from '../rule.ts';

const rules = defineRules({
  instance: {
    id: 'VXL-01',
    severity: 'warning',
    title: 'VXLAN without a valid VNI',
    reference: 'RFC 7348 section 5',
    evidence: 'a VXLAN or VXLAN-GPE header whose I bit is 0',
    meaning: 'The I bit must be 1 for the VNI to count: receivers drop the packet.',
    help: 'Find what sends to this port: it is a broken sender, or another protocol.',
  },
  reserved: {
    id: 'VXL-02',
    severity: 'note',
    title: 'Reserved bits of VXLAN set',
    reference: 'RFC 7348 section 5',
    evidence: 'a bit that is reserved in VXLAN, in its group policy extension and in VXLAN-GPE, and not 0',
    meaning:
      'Receivers have to ignore the bits; Linux drops packets whose bits no extension of the device explains.',
    help: 'Compare the extensions configured at both ends: GBP, GPE, remote checksum offload.',
  },
  policy: {
    id: 'VXL-03',
    severity: 'note',
    title: 'Group policy bits without the G bit',
    reference: 'draft-smith-vxlan-group-policy section 2.1',
    evidence: 'a group policy ID or its D or A bit in a header whose G bit is 0',
    meaning: 'Without G these are reserved bits: the policy is not applied.',
    help: 'Turn the group policy extension on at the sender, or clear the bits.',
  },
  version: {
    id: 'VXL-04',
    severity: 'error',
    title: 'Unknown VXLAN-GPE version',
    reference: 'draft-ietf-nvo3-vxlan-gpe-12 section 3.1',
    evidence: 'a VXLAN-GPE header whose version is not 0',
    meaning: 'Receivers have to drop the packet.',
    help: 'Find what sends to this port: it is another protocol, or a damaged header.',
  },
  vlan: {
    id: 'VXL-05',
    severity: 'note',
    title: 'VLAN tag inside VXLAN',
    reference: 'RFC 7348 section 6.1',
    evidence: 'an inner Ethernet frame with an 802.1Q tag',
    meaning: 'Unless configured to keep it, the receiving end discards the frame.',
    help: 'Configure both ends to carry tags, or let the sending end remove them.',
  },
  short: {
    id: 'VXL-06',
    severity: 'error',
    title: 'Datagram too short for VXLAN',
    reference: 'RFC 7348 section 5',
    evidence: 'a UDP payload at a VXLAN port that is shorter than 8 bytes; not where the capture cut it',
    meaning: 'There is no room for the header: receivers drop the datagram.',
    help: 'Find what sends to this port.',
  },
});

const BY_REMARK: ReadonlyMap<string, Rule> = new Map([
  ['vxlan.i-clear', rules.instance],
  ['vxlan_gpe.i-clear', rules.instance],
  ['vxlan.reserved', rules.reserved],
  ['vxlan_gpe.reserved', rules.reserved],
  ['vxlan.gbp-without-g', rules.policy],
  ['vxlan_gpe.version', rules.version],
]);

class VxlanObserver implements Observer {
  private readonly scene: Scene;
  private readonly vxlan: number;
  private readonly gpe: number;
  private readonly vlan: number;
  private readonly reader: RemarkReader;
  private packetNow: Packet | null = null;
  private vniNow = '';

  constructor(scene: Scene) {
    const { registry } = scene.dissector;
    this.scene = scene;
    this.vxlan = registry.indexOf(vxlan.name);
    this.gpe = registry.indexOf(vxlanGpe.name);
    this.vlan = registry.indexOf(vlan.name);
    this.reader = new RemarkReader((code, text) => {
      const rule = BY_REMARK.get(code);
      if (rule) this.report(rule, text);
    });
  }

  packet(packet: Packet): void {
    const { layers } = packet;
    for (let i = 0; i < layers.ownCount; i++) {
      const protocol = layers.protocol(i);
      if (protocol === this.vxlan) this.header(packet, i, vxlan);
      else if (protocol === this.gpe) this.header(packet, i, vxlanGpe);
    }
  }

  private header(packet: Packet, layer: number, protocol: typeof vxlan | typeof vxlanGpe): void {
    const { batch, layers } = packet;
    this.packetNow = packet;
    this.vniNow = 'VXLAN';
    if (layer === layers.count - 1 && layers.partial) {
      if (layers.stop === Stop.malformed)
        this.report(rules.short, 'a datagram too short for a header of 8 bytes');
      return;
    }
    const vni = protocol.flow.tunnel.vni(batch.view, layers.start(layer));
    if (vni >= 0) this.vniNow = `VXLAN VNI ${vni}`;
    this.reader.read(protocol, batch.view, layers, layer);
    // The layer behind is the inner Ethernet header.
    if (layer + 2 < layers.ownCount && layers.protocol(layer + 2) === this.vlan)
      this.report(rules.vlan, 'inner frames have VLAN tags');
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

export const vxlanRules: RuleSet = {
  rules: Object.values(rules),
  observe: (scene) => new VxlanObserver(scene),
};
