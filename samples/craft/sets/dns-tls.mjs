// DNS and TLS: what tells a name, a version and a mesh hop from the outside, mostly inside VXLAN.

import {
  clientHello,
  dns,
  dnsOverTcp,
  name,
  pointer,
  question,
  questionName,
  record,
  serverHello,
  tlsRecord,
} from '../lib/app.mjs';
import { cat, ipv4, ipv6, u8, u16, zeros } from '../lib/bytes.mjs';
import { pcapng } from '../lib/capture.mjs';
import { conversation } from '../lib/conversation.mjs';
import { ip4, udp } from '../lib/ip.mjs';
import { eth } from '../lib/link.mjs';
import { overGeneve, overVxlan } from '../lib/tunnel.mjs';
import { a4, podA, podB, restart } from './parts.mjs';

const turn = ({ src, dst }) => ({ src: dst, dst: src });
const nodes = { src: '192.0.2.1', dst: '192.0.2.2' };
const forward = (from) => from === 'client';

/** An inner frame in either direction, then the tunnel (or none) around it. */
const frame = (from, payload) => {
  const macs = forward(from) ? { src: podA, dst: podB } : { src: podB, dst: podA };
  return eth(macs, ip4({ ...(forward(from) ? a4 : turn(a4)), df: 1 }, payload));
};
const tunnelled = (over, vni) => (from, inside) =>
  over({ vni }, inside, {
    sport: forward(from) ? 51000 : 52000,
    nodes: forward(from) ? nodes : turn(nodes),
    macs: forward(from) ? {} : { src: '00:00:5e:00:53:02', dst: '00:00:5e:00:53:01' },
  });
const inVxlan = tunnelled(overVxlan, 42);
const inGeneve = tunnelled(overGeneve, 7);
const bare = (_, inside) => inside;

// ------------------------------------------------------------------------------------------------------- DNS
const ask = 0x0100; // recursion desired
const answer = 0x8180; // response, recursion desired and available
const host = 'web.svc.example';
const srvName = '_http._tcp.svc.example';
const longText = 'v=1 text records hold strings of at most 255 bytes';

// The question ends at 12 + name + 4; "svc.example" inside it starts 4 bytes after "web".
const inQuestion = (skip) => pointer(12 + skip);
const exchange = (id, type, text, answers, extra = {}) => [
  ['client', `${type} ${text}`, dns({ id, flags: ask, questions: [question(text, type)] })],
  [
    'server',
    `${type} answer`,
    dns({ id, flags: answer, questions: [question(text, type)], answers, ...extra }),
  ],
];
const address4 = (owner, text) => record(owner, 'A', ipv4(text));

const dnsTalk = () => [
  ...exchange(0x1001, 'A', host, [
    address4(questionName, '10.96.0.10'),
    address4(questionName, '10.96.0.11'),
  ]),
  ...exchange(0x1002, 'AAAA', host, [record(questionName, 'AAAA', ipv6('fd00:96::a'))]),
  // the CNAME's target is "app" plus a pointer to "svc.example"; the A record's owner points at that target
  ...exchange(0x1003, 'A', 'www.svc.example', [
    record(questionName, 'CNAME', name('app', inQuestion(4))),
    address4(pointer(12 + 17 + 4 + 12), '10.96.0.12'),
  ]),
  ...exchange(
    0x1004,
    'SRV',
    srvName,
    [record(questionName, 'SRV', cat(u16(10), u16(50), u16(8080), name(host)))],
    { additional: [record(name(host), 'A', ipv4('10.96.0.10'))] },
  ),
  ...exchange(0x1005, 'TXT', 'svc.example', [
    record(questionName, 'TXT', cat(u8(longText.length), longText)),
  ]),
  [
    'client',
    'A query for a name that does not exist',
    dns({ id: 0x1006, flags: ask, questions: [question('gone.example', 'A')] }),
  ],
  ['server', 'NXDOMAIN', dns({ id: 0x1006, flags: 0x8183, questions: [question('gone.example', 'A')] })],
  [
    'client',
    'A query with EDNS, 1232 bytes',
    dns({ id: 0x1007, flags: ask, questions: [question('big.example', 'A')], additional: [edns(1232)] }),
  ],
  [
    'server',
    'truncated answer (TC bit): ask again over TCP',
    dns({ id: 0x1007, flags: 0x8380, questions: [question('big.example', 'A')] }),
  ],
];
const edns = (size) => cat(u8(0), u16(41), u16(size), zeros(6));

const dnsFrames = () =>
  dnsTalk().map(([from, what, message], i) => {
    const client = 42001 + Math.floor(i / 2);
    const ports = forward(from) ? { sport: client, dport: 53 } : { sport: 53, dport: client };
    return { comment: `DNS in VXLAN: ${what}`, data: inVxlan(from, frame(from, udp(ports, message))) };
  });

const damagedDns = () => {
  const loop = dns({
    id: 0x1008,
    flags: answer,
    questions: [question('loop.example', 'A')],
    answers: [address4(pointer(12 + 14 + 4), '10.96.0.13')],
  });
  const short = dns({ id: 0x1009, flags: ask, questions: [question('short.example', 'A')] }).subarray(0, 20);
  return [
    ['BAD DNS: a compressed name that points at itself', 'server', { sport: 53, dport: 42008 }, loop],
    ['BAD DNS: message ends inside the question', 'client', { sport: 42009, dport: 53 }, short],
  ].map(([comment, from, ports, message]) => ({
    comment,
    data: inVxlan(from, frame(from, udp(ports, message))),
  }));
};

// ------------------------------------------------------------------------------------ TCP: DNS, TLS and HBONE
const connection = (what, options, wrap) =>
  conversation({ clock: { client: 1000000, server: 7000000 }, close: false, ...options }).map(
    ({ from, note, segment }) => ({ comment: `${what}: ${note}`, data: wrap(from, frame(from, segment())) }),
  );

const dnsTcp = () => {
  const questions = [question('big.example', 'A')];
  const addresses = ['10.96.1.1', '10.96.1.2', '10.96.1.3'].map((a) => address4(questionName, a));
  const talk = [
    ['client', dnsOverTcp(dns({ id: 0x100a, flags: ask, questions })), 'A big.example'],
    ['server', dnsOverTcp(dns({ id: 0x100a, flags: answer, questions, answers: addresses })), 'answer'],
  ];
  return connection(
    'DNS over TCP in VXLAN',
    { client: 43000, server: 53, isn: { client: 0x11c0ffee, server: 0x5eed0001 }, talk },
    inVxlan,
  );
};

const changeCipher = tlsRecord(20, 0x0303, u8(1));
const opaque = (size) => tlsRecord(23, 0x0303, Buffer.alloc(size, 0xaa));

const tls13 = () => {
  const hello = clientHello({
    host: 'api.example',
    protocols: ['h2', 'http/1.1'],
    versions: [0x0304, 0x0303],
    ciphers: [0x1301, 0x1302],
    useGrease: true,
  });
  const reply = cat(serverHello({ version: 0x0304, cipher: 0x1301 }), changeCipher, opaque(32));
  const talk = [
    ['client', hello, 'ClientHello, SNI api.example, ALPN h2 and http/1.1, GREASE'],
    ['server', reply, 'ServerHello 1.3, ChangeCipherSpec, encrypted rest'],
  ];
  return connection(
    'TLS 1.3 in VXLAN',
    { client: 43001, server: 443, isn: { client: 0x2b5d3310, server: 0x9c0f7a42 }, talk },
    inVxlan,
  );
};

const tls12 = () => {
  const hello = clientHello({
    host: 'old.example',
    protocols: ['http/1.1'],
    versions: [0x0303],
    ciphers: [0xc02b, 0xc02f],
  });
  const talk = [
    ['client', hello, 'ClientHello, SNI old.example, ALPN http/1.1'],
    [
      'server',
      serverHello({ version: 0x0303, cipher: 0xc02f, protocol: 'http/1.1' }),
      'ServerHello 1.2, ALPN http/1.1',
    ],
    ['server', tlsRecord(21, 0x0303, Buffer.from([2, 40])), 'alert: handshake failure'],
  ];
  return connection(
    'TLS 1.2 in Geneve',
    { client: 43002, server: 8443, isn: { client: 0x70aa1c09, server: 0x0d44e8b6 }, talk },
    inGeneve,
  );
};

/** What ztunnel sends: TLS 1.3 only, ALPN h2, no server name. */
const hbone = () => {
  const hello = clientHello({ protocols: ['h2'], versions: [0x0304], ciphers: [0x1302, 0x1301] });
  const reply = cat(serverHello({ version: 0x0304, cipher: 0x1302 }), changeCipher, opaque(48));
  const talk = [
    ['client', hello, 'ClientHello, ALPN h2, no SNI'],
    ['server', reply, 'ServerHello 1.3, ChangeCipherSpec, encrypted rest'],
    ['client', cat(changeCipher, opaque(40)), 'ChangeCipherSpec, encrypted rest'],
  ];
  return connection(
    'HBONE, not tunnelled',
    { client: 43003, server: 15008, isn: { client: 0xa11ce000, server: 0xb0b00001 }, talk },
    bare,
  );
};

const plainOn15008 = () => {
  const talk = [['client', 'GET / HTTP/1.1\r\nHost: 10.0.0.2\r\n\r\n', 'plain HTTP where HBONE belongs']];
  return connection(
    'Port 15008 without TLS',
    { client: 43004, server: 15008, isn: { client: 0x600df00d, server: 0x0badcafe }, talk },
    bare,
  );
};

export default () => {
  restart();
  const parts = [dnsFrames, damagedDns, dnsTcp, tls13, tls12, hbone, plainOn15008];
  return { 'dns-tls.pcapng': pcapng(parts.flatMap((part) => part())) };
};
