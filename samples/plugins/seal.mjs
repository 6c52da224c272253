// An option whose values are shown by code: definePlugin in plain JavaScript.
import { defineOption, definePlugin, u16, u32 } from 'tunscope';

const years = (/** @type {number} */ key) => (key < 10 ? `key of ${2020 + key}` : undefined);

export default definePlugin({
  name: 'acme-seal',
  options: [
    defineOption({
      name: 'acme.seal',
      title: 'Acme seal',
      reference: 'Acme fabric manual, chapter 5',
      table: 'geneve.option',
      class: 0xff20,
      type: 0x04,
      length: 8,
      fields: [
        u16('acme.seal.key', 'Key', 0, { values: years }),
        u32('acme.seal.sum', 'Sum', 4, { base: 'hex' }),
      ],
    }),
  ],
});
