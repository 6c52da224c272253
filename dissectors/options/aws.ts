/**
 * AWS Gateway Load Balancer (AWS documentation, "Using Geneve"): an appliance has to send all three back unchanged.
 */
import { u32, u64 } from '../../src/core/field.ts';
import { defineOption } from '../../src/core/protocol.ts';

const gwlb = { reference: 'AWS Gateway Load Balancer', table: 'geneve.option', class: 0x0108 };

export const awsEndpoint = defineOption({
  ...gwlb,
  name: 'aws.gwlb.endpoint',
  title: 'AWS GWLB endpoint',
  type: 0x01,
  length: 8,
  fields: [u64('aws.gwlb.endpoint_id', 'Endpoint ENI ID', 0, { base: 'hex' })],
});

export const awsAttachment = defineOption({
  ...gwlb,
  name: 'aws.gwlb.attachment',
  title: 'AWS GWLB attachment',
  type: 0x02,
  length: 8,
  fields: [u64('aws.gwlb.attachment_id', 'Attachment ID', 0, { base: 'hex' })],
});

export const awsCookie = defineOption({
  ...gwlb,
  name: 'aws.gwlb.cookie',
  title: 'AWS GWLB flow cookie',
  type: 0x03,
  length: 4,
  fields: [u32('aws.gwlb.flow_cookie', 'Flow cookie', 0, { base: 'hex' })],
});
