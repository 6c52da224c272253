/**
 * Google Cloud Network Security Integration (Google Cloud documentation, "Understand Geneve"): which options there are,
 * and in which order, may change. Of the endpoint only the length is known: it is opaque.
 */
import { computed, flag, u32, u64 } from '../../src/core/field.ts';
import { defineOption } from '../../src/core/protocol.ts';

const nsi = { reference: 'Google Cloud NSI', table: 'geneve.option', class: 0x0132 };

export const googleNetwork = defineOption({
  ...nsi,
  name: 'gcp.network',
  title: 'Google network ID and direction',
  type: 0x01,
  length: 4,
  fields: [
    u32('geneve.option.gcp.vnid', 'GCP Virtual Network ID', 0, { mask: 0xfffffff0 }),
    flag('geneve.option.gcp.reserved', 'GCP Reserved bits', 0, 0x0000000e, 4),
    flag('geneve.option.gcp.direction', 'GCP Traffic Direction', 0, 0x00000001, 4, ['Egress', 'Ingress']),
  ],
});

export const googleEndpoint = defineOption({
  ...nsi,
  name: 'gcp.endpoint',
  title: 'Google endpoint ID',
  type: 0x02,
  length: 0,
  fields: [],
  rest: computed<string>('geneve.option.gcp.endpoint', 'GCP Endpoint ID', 'bytes'),
});

export const googleProfile = defineOption({
  ...nsi,
  name: 'gcp.profile',
  title: 'Google profile ID',
  type: 0x03,
  length: 8,
  fields: [u64('geneve.option.gcp.profile', 'GCP Profile ID', 0)],
});
