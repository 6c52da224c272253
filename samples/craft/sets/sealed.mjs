// Encrypted traffic with its keys: HBONE (TLS 1.3, HTTP/2 CONNECT) with a key log inside the capture; ESP and MACsec.
import { clientHello, serverHello } from '../lib/app.mjs';
import { bytes, cat, hex, patch } from '../lib/bytes.mjs';
import { pcapng } from '../lib/capture.mjs';
import { clientCertificate, serverCertificate } from '../lib/certificates.mjs';
import { conversation, httpTalk } from '../lib/conversation.mjs';
import { ip4, ip6, tcp, udp } from '../lib/ip.mjs';
import { eth, mac1, mac2 } from '../lib/link.mjs';
import {
  certificate,
  certificateVerify,
  counting,
  data,
  encryptedExtensions,
  espGcm,
  espNull,
  finished,
  frame,
  headers,
  indexed,
  literal,
  macsecFrame,
  preface,
  sealer,
  secretsOf,
  settings,
} from '../lib/sealed.mjs';
import { geneve, nodes4, nodes6 } from '../lib/tunnel.mjs';
import { a4, inner, ping4, ping6, restart } from './parts.mjs';

// ------------------------------------------------------------------------------------------------------ HBONE
const ends = { src: '10.244.1.4', dst: '10.244.2.5' };
const turn = ({ src, dst }) => ({ src: dst, dst: src });
const macs = { client: { src: mac1, dst: mac2 }, server: { src: mac2, dst: mac1 } };

/** Random and key share of a ClientHello are the same in all samples; this one's random makes it a connection of its own. */
const helloOf = (random) =>
  patch(clientHello({ protocols: ['h2'], versions: [0x0304], ciphers: [0x1302, 0x1301] }), 11, random);

// Field names of RFC 7541 appendix A.
const authority = 1;
const status200 = 8;
const trace = (last) => `00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333${last}-01`;

const connect = (stream, port, last) =>
  headers(
    stream,
    cat(
      literal(2, 'CONNECT'),
      literal(authority, `10.244.2.5:${port}`),
      literal('baggage', 'k8s.namespace.name=default,k8s.pod.name=client', true),
      literal('forwarded', 'for=10.244.1.4'),
      literal('traceparent', trace(last), false),
    ),
  );
/** The second request: all but the port and the trace is in the table by now, newest first from 62. */
const connectAgain = (stream, port, last) =>
  headers(
    stream,
    cat(
      indexed(65),
      literal(authority, `10.244.2.5:${port}`),
      indexed(64),
      indexed(63),
      literal('traceparent', trace(last), false),
    ),
  );

function open(random, first) {
  const { secrets, keyLog } = secretsOf(random, first);
  const [clientHandshake, serverHandshake, client, server] = secrets.map(sealer);
  const handshake = [
    ['client', helloOf(random), 'ClientHello, ALPN h2, no SNI'],
    [
      'server',
      cat(
        serverHello({ version: 0x0304, cipher: 0x1301 }),
        serverHandshake.handshake(
          encryptedExtensions('h2'),
          certificate(serverCertificate),
          certificateVerify,
          finished,
        ),
      ),
      'ServerHello, then encrypted: extensions, certificate, Finished',
    ],
    [
      'client',
      clientHandshake.handshake(certificate(clientCertificate), certificateVerify, finished),
      'encrypted: certificate, Finished',
    ],
  ];
  return { keyLog, client, server, handshake };
}

const [[, request], [, response]] = httpTalk('web.example', 'inside the tunnel');

function requests() {
  const { keyLog, client, server, handshake } = open(counting(32, 0x70), 0x11);
  const talk = [
    ...handshake,
    ['client', client.application(cat(preface, settings, connect(1, 8080, 1))), 'CONNECT 10.244.2.5:8080'],
    ['server', server.application(cat(settings, frame(4, 1, 0), headers(1, indexed(status200)))), '200'],
    ['client', client.application(data(1, request)), 'GET inside stream 1'],
    [
      'server',
      cat(server.update(), server.application(data(1, response, true))),
      'KeyUpdate, then the answer',
    ],
    [
      'client',
      client.application(connectAgain(3, 9090, 2)),
      'CONNECT 10.244.2.5:9090, fields from the table',
    ],
    ['server', server.application(headers(3, literal(8, '503', false))), '503'],
    ['client', client.application(frame(3, 0, 3, hex('00000008'))), 'RST_STREAM, cancel'],
  ];
  return { keyLog, talk };
}

/** Nobody has its secrets. */
function closed() {
  const { client, server, handshake } = open(counting(32, 0x90), 0x55);
  const talk = [
    ...handshake,
    ['client', client.application(cat(preface, settings, connect(1, 8081, 3))), 'encrypted'],
    ['server', server.application(cat(settings, headers(1, indexed(status200)))), 'encrypted'],
  ];
  return talk;
}

const connection = (what, options) =>
  conversation({ server: 15008, clock: { client: 1000000, server: 7000000 }, ...options }).map(
    ({ from, at, note, segment }) => ({
      at,
      comment: `${what}: ${note}`,
      data: eth(macs[from], ip4({ ...(from === 'client' ? ends : turn(ends)), df: 1 }, segment())),
    }),
  );

function hbone() {
  const { keyLog, talk } = requests();
  const frames = [
    ...connection('HBONE with keys', {
      client: 43100,
      isn: { client: 0x1fffff00, server: 0x7a000000 },
      talk,
    }),
    ...connection('HBONE without keys', {
      client: 43101,
      isn: { client: 0x20000000, server: 0x30000000 },
      talk: closed(),
      start: 1,
    }),
  ];
  return { keyLog, capture: pcapng(frames, { keyLog }) };
}

// --------------------------------------------------------------------------------------------- ESP and MACsec
const gcm = { key: cat(counting(16, 1), hex('a1b2c3d4')) };
const hmac = { key: counting(32, 0x20) };
const sak = { key: counting(16, 0x60), sci: hex('00005e005301 0001') };

const UDP = 17;
const IP4 = 4;
const datagram = (tunnel, sport) => bytes(udp({ sport, dport: 6081, sum: 0 }, tunnel));
const overlay = (vni, payload) => geneve({ vni }, inner(payload));
const outer4 = (proto, payload) => eth({}, ip4({ ...nodes4, proto, df: 1 }, payload));

function protectedFrames() {
  const syn = ip4(a4, tcp({ sport: 40100, dport: 80, seq: 1000, flags: 'S' }));
  const espFrames = [
    [
      'ESP, AES-GCM, transport mode: Geneve VNI 5010, ping',
      (seq) => espGcm({ ...gcm, spi: 0x1001, seq }, UDP, datagram(overlay(5010, ping4()), 50001)),
    ],
    [
      'ESP, AES-GCM, transport mode: Geneve VNI 5010, SYN',
      (seq) => espGcm({ ...gcm, spi: 0x1001, seq }, UDP, datagram(overlay(5010, syn), 50002)),
    ],
    [
      'ESP, NULL and HMAC-SHA-256: Geneve VNI 5011, ping',
      (seq) => espNull({ ...hmac, spi: 0x2001, seq }, UDP, datagram(overlay(5011, ping4()), 50003)),
    ],
    ['ESP, AES-GCM, tunnel mode: ping', (seq) => espGcm({ ...gcm, spi: 0x1002, seq }, IP4, bytes(ping4()))],
  ].map(([comment, esp], i) => ({ comment, data: outer4(50, esp(i + 1)) }));
  const inUdp = espGcm({ ...gcm, spi: 0x3001, seq: 1 }, UDP, datagram(overlay(5012, ping6()), 50004));
  const over6 = espGcm({ ...gcm, spi: 0x1003, seq: 1 }, UDP, datagram(overlay(5013, ping4()), 50005));
  const noKey = espGcm({ ...gcm, spi: 0x4001, seq: 1 }, UDP, datagram(overlay(5014, ping4()), 50006));
  const plain = bytes(outer4(UDP, datagram(overlay(5015, ping4()), 50007)));
  return [
    ...espFrames,
    {
      comment: 'ESP in UDP 4500: Geneve VNI 5012, ping6',
      data: outer4(UDP, bytes(udp({ sport: 4500, dport: 4500, sum: 0 }, inUdp))),
    },
    { comment: 'ESP over IPv6: Geneve VNI 5013, ping', data: eth({}, ip6({ ...nodes6, next: 50 }, over6)) },
    { comment: 'ESP with an SPI of which nobody has the key', data: outer4(50, noKey) },
    { comment: 'MACsec: Geneve VNI 5015, ping', data: macsecFrame({ ...sak, pn: 1 }, plain) },
    {
      comment: 'MACsec around ESP: Geneve VNI 5010, ping',
      data: macsecFrame(
        { ...sak, pn: 2 },
        bytes(
          outer4(50, espGcm({ ...gcm, spi: 0x1001, seq: 3 }, UDP, datagram(overlay(5010, ping4()), 50008))),
        ),
      ),
    },
  ];
}

const saLines = [
  '# tunscope flows --esp-sa @ipsec-macsec.sa --macsec-key @ipsec-macsec.sak ipsec-macsec.pcapng',
  ...[0x1001, 0x1002, 0x1003, 0x3001].map(
    (spi) => `spi=0x${spi.toString(16)},aes-gcm=${gcm.key.toString('hex')}`,
  ),
  `spi=0x2001,dst=${nodes4.dst},hmac-sha256=${hmac.key.toString('hex')}`,
];

export default function make() {
  restart();
  const { keyLog, capture } = hbone();
  return {
    'hbone-tls.pcapng': capture,
    'hbone-tls.keys': keyLog,
    'ipsec-macsec.pcapng': pcapng(protectedFrames()),
    'ipsec-macsec.sa': `${saLines.join('\n')}\n`,
    'ipsec-macsec.sak': `sci=${sak.sci.toString('hex')},an=0,key=${sak.key.toString('hex')}\n`,
  };
}
