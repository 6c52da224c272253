/** Tencent Cloud Gateway Load Balancer (Tencent Cloud documentation 1245/65413). */
import { characters, u32, u64 } from '../../src/core/field.ts';
import { defineOption } from '../../src/core/protocol.ts';

const gwlb = { reference: 'Tencent doc 1245/65413', table: 'geneve.option', class: 0x0167 };

export const tencentEndpoint = defineOption({
  ...gwlb,
  name: 'tencent.gwlb.endpoint',
  title: 'Tencent GWLB endpoint',
  type: 0x01,
  length: 8,
  fields: [characters('tencent.gwlb.endpoint_id', 'Endpoint ID', 0, 8)],
});

export const tencentAttachment = defineOption({
  ...gwlb,
  name: 'tencent.gwlb.attachment',
  title: 'Tencent GWLB attachment',
  type: 0x02,
  length: 8,
  fields: [u64('tencent.gwlb.attachment_id', 'Attachment ID', 0, { base: 'hex' })],
});

export const tencentCookie = defineOption({
  ...gwlb,
  name: 'tencent.gwlb.cookie',
  title: 'Tencent GWLB flow direction and cookie',
  type: 0x03,
  length: 4,
  fields: [
    u32('tencent.gwlb.flow_direction', 'Flow direction', 0, { mask: 0xe0000000 }),
    u32('tencent.gwlb.flow_cookie', 'Flow cookie', 0, { mask: 0x1fffffff, base: 'hex' }),
  ],
});
