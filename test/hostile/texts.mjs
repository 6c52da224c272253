/** Writes a capture, its keys, a plug-in and names of pods to a directory: full of texts that terminals and programs obey. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { clientHello, dns, pointer, serverHello } from '../../samples/craft/lib/app.mjs';
import { cat, patch, u8, u16, u32 } from '../../samples/craft/lib/bytes.mjs';
import { block, pcapng } from '../../samples/craft/lib/capture.mjs';
import { clientCertificate, serverCertificate } from '../../samples/craft/lib/certificates.mjs';
import { conversation } from '../../samples/craft/lib/conversation.mjs';
import { ip4, tcp, udp } from '../../samples/craft/lib/ip.mjs';
import { eth, pppoe, pppoeTag } from '../../samples/craft/lib/link.mjs';
import * as sealed from '../../samples/craft/lib/sealed.mjs';
import { option, overGeneve, overVxlan } from '../../samples/craft/lib/tunnel.mjs';

const [, , directory, hostile] = process.argv;
/** Of bytes; what Latin-1 has no letters for is left out. */
const bytes = Buffer.from(hostile.replace(/[^\0-\xff]/g, ''), 'latin1');
const label = cat(u8(bytes.length), bytes);
const domain = cat(label, u8(0));

const ends = { src: '10.0.0.1', dst: '10.0.0.2' };
const turned = { src: ends.dst, dst: ends.src };
const inside = (ports, payload, from = ends) => eth({}, ip4(from, udp(ports, payload)));

const question = cat(domain, u16(16), u16(1));
const answer = (type, data) => cat(pointer(12), u16(type), u16(1), u32(1), u16(data.length), data);
const answers = [
  answer(5, domain),
  answer(16, label),
  answer(33, cat(u16(1), u16(1), u16(53), domain)),
  answer(12, domain),
  answer(15, cat(u16(1), domain)),
];

/** A ClientHello with a name and a protocol of as many letters, which then become others. */
function hello() {
  const letters = 'x'.repeat(bytes.length);
  const record = Buffer.from(
    clientHello({ host: letters, protocols: [letters], versions: [0x0304], ciphers: [0x1301] }),
  );
  for (let at = record.indexOf(letters); at >= 0; at = record.indexOf(letters)) bytes.copy(record, at);
  return record;
}

/** Other names of workloads, as long as those that were there. */
const forged = (certificate) => {
  const copy = Buffer.from(certificate);
  const at = copy.indexOf('spiffe://');
  bytes.copy(copy, at + 'spiffe://'.length, 0, 24);
  return copy;
};

function hbone() {
  const random = sealed.counting(32, 0x70);
  const { secrets, keyLog } = sealed.secretsOf(random, 0x11);
  const [clientHandshake, serverHandshake, client, server] = secrets.map(sealed.sealer);
  const { certificateVerify, finished, headers, literal, settings } = sealed;
  const ask = cat(
    literal(2, 'CONNECT'),
    literal(1, bytes),
    ...['baggage', 'forwarded', 'traceparent', 'x-other'].map((field) => literal(field, bytes)),
    literal(bytes, bytes),
  );
  const talk = [
    ['client', patch(clientHello({ protocols: ['h2'], versions: [0x0304], ciphers: [0x1301] }), 11, random)],
    [
      'server',
      cat(
        serverHello({ version: 0x0304, cipher: 0x1301 }),
        serverHandshake.handshake(
          sealed.encryptedExtensions('h2'),
          sealed.certificate(forged(serverCertificate)),
          certificateVerify,
          finished,
        ),
      ),
    ],
    [
      'client',
      clientHandshake.handshake(sealed.certificate(forged(clientCertificate)), certificateVerify, finished),
    ],
    ['client', client.application(cat(sealed.preface, settings, headers(1, ask)))],
    ['server', server.application(cat(settings, headers(1, sealed.indexed(8))))],
    [
      'client',
      client.application(sealed.data(1, cat('GET /', bytes, ' HTTP/1.1\r\nHost: ', bytes, '\r\n\r\n'))),
    ],
    ['server', server.application(sealed.data(1, cat('HTTP/1.1 200 ', bytes, '\r\n\r\n'), true))],
  ];
  const segments = conversation({
    client: 43100,
    server: 15008,
    isn: { client: 1, server: 1 },
    clock: { client: 1, server: 1 },
    talk,
  });
  const frames = segments.map(({ from, segment }) =>
    eth({}, ip4(from === 'client' ? ends : turned, segment())),
  );
  return { keyLog, frames };
}

const { keyLog, frames } = hbone();
const query = { id: 1, flags: 0x0100, questions: [question] };
const data = [
  overGeneve({ vni: 5 }, inside({ sport: 40000, dport: 53 }, dns(query))),
  overGeneve(
    { vni: 5 },
    inside({ sport: 53, dport: 40000 }, dns({ ...query, flags: 0x8180, answers }), turned),
  ),
  overVxlan({ vni: 6 }, eth({}, ip4(ends, tcp({ sport: 40001, dport: 443, seq: 1, flags: 'PA' }, hello())))),
  overGeneve(
    { vni: 7, options: [option(0xff99, 1, cat(bytes, Buffer.alloc(-bytes.length & 3)))] },
    eth({}, ip4(ends, udp({ sport: 1, dport: 2 }, 'x'))),
  ),
  eth({ type: 0x8863 }, pppoe({ code: 9 }, cat(pppoeTag(0x0101, bytes), pppoeTag(0x0102, bytes)))),
  ...frames,
];

const le16 = (value) => Buffer.from([value & 255, value >> 8]);
const padded = (text) => cat(text, Buffer.alloc(-text.length & 3));
const tlv = (code, text) => cat(le16(code), le16(text.length), padded(text));
const utf8 = Buffer.from(hostile);
/** The interface says of itself what it likes. */
const description = block(
  1,
  cat(
    le16(1),
    le16(0),
    Buffer.alloc(4),
    tlv(2, utf8),
    tlv(3, utf8),
    tlv(11, cat(u8(0), utf8)),
    tlv(12, utf8),
    u32(0),
  ),
);
const names = block(4, cat(tlv(1, cat(Buffer.from([10, 0, 0, 1]), utf8, u8(0))), u32(0)));
const file = pcapng(
  data.map((frame) => ({ data: frame, comment: hostile })),
  { interfaces: [] },
);
const section = file.readUInt32LE(4);
writeFileSync(
  path.join(directory, `${hostile.replace('/', '|')}.pcapng`),
  cat(file.subarray(0, section), description, names, file.subarray(section)),
);
writeFileSync(path.join(directory, 'keys'), keyLog);
writeFileSync(
  path.join(directory, 'plugin.json'),
  JSON.stringify({
    plugin: 1,
    name: 'hostile',
    options: [
      {
        name: 'hostile.option',
        title: 'Option',
        class: 0xff99,
        type: 1,
        length: padded(bytes).length,
        fields: [{ name: 'hostile.text', title: 'Text', offset: 0, width: bytes.length, format: 'text' }],
      },
    ],
  }),
);
writeFileSync(
  path.join(directory, 'plugin.mjs'),
  `import { defineProtocol, definePlugin, u8, computed } from 'tunscope';
const hostile = ${JSON.stringify(hostile)};
const shown = { ...u8('shows.kind', 'Kind', 0), show: () => hostile };
const said = computed('shows.text', 'Text', 'string');
const shows = defineProtocol({
  name: 'shows',
  title: 'Shows',
  reference: 'none',
  minLength: 1,
  fields: [shown],
  detailFields: [said],
  on: [['udp.port', 2]],
  step(view, at, layers) { layers.body = at + 1; },
  info: () => hostile,
  details(out) {
    out.computed(said, hostile, out.start, 1);
    out.open(hostile, out.start, 1);
    out.close();
    out.remark('shows.remark', 'warning', out.start, 1, hostile);
  },
});
export default definePlugin({ name: 'shows', protocols: [shows] });
`,
);
const pod = (address, text) => ({
  kind: 'Pod',
  metadata: { namespace: text, name: text },
  status: { phase: 'Running', podIP: address },
});
writeFileSync(
  path.join(directory, 'pods.json'),
  JSON.stringify({ items: [pod('10.0.0.1', hostile), pod('10.0.0.2', hostile), pod('192.0.2.1', hostile)] }),
);
