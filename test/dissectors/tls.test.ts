import { describe, expect, it } from 'vitest';
import { tlsHello } from '../../dissectors/tls.ts';
import {
  ascii,
  codesOf,
  dissect,
  expectSurvivesAnything,
  expectTruncationsKeepLayers,
  fieldsOf,
  hex,
  inTcp,
  join,
  uint16,
} from './packet.ts';

/** Bytes behind their length. */
const vector8 = (...parts: Uint8Array[]) => join(Uint8Array.of(join(...parts).length), ...parts);
const vector16 = (...parts: Uint8Array[]) => join(uint16(join(...parts).length), ...parts);
const vector24 = (...parts: Uint8Array[]) => join(hex('00'), vector16(...parts));

const RANDOM = Uint8Array.from({ length: 32 }, (_, i) => i);

const record = (type: number, fragment: Uint8Array) =>
  join(Uint8Array.of(type), hex('0303'), vector16(fragment));
const extension = (type: number, data: Uint8Array) => join(uint16(type), vector16(data));

const serverName = (name: string) => extension(0, vector16(hex('00'), vector16(ascii(name))));
const alpn = (...names: string[]) => extension(16, vector16(...names.map((name) => vector8(ascii(name)))));

const clientHello = (suites: Uint8Array, ...extensions: Uint8Array[]) =>
  record(
    22,
    join(
      hex('01'),
      vector24(
        hex('0303'),
        RANDOM,
        vector8(hex('0102')),
        vector16(suites),
        hex('01 00'),
        vector16(...extensions),
      ),
    ),
  );

const serverHello = (suite: Uint8Array, ...extensions: Uint8Array[]) =>
  join(hex('02'), vector24(hex('0303'), RANDOM, vector8(), suite, hex('00'), vector16(...extensions)));

/** As browsers do it: GREASE first, in suites, extensions and versions (RFC 8701). */
const CLIENT = clientHello(
  hex('0a0a 1301 c02f'),
  extension(0x1a1a, hex('')),
  serverName('www.example.com'),
  alpn('h2', 'http/1.1'),
  extension(43, vector8(hex('2a2a 0304 0303'))),
  extension(51, hex('0000')),
);

/** Version 1.3: the version is in an extension, everything behind it is secret. */
const SERVER13 = join(
  record(22, serverHello(hex('1301'), extension(43, hex('0304')))),
  record(20, hex('01')),
  record(23, new Uint8Array(40).fill(0xee)),
);

/** Version 1.2: the protocol is in the clear, and so are the messages that follow in the same record. */
const SERVER12 = record(
  22,
  join(serverHello(hex('c02f'), alpn('h2')), hex('0b'), vector24(vector24()), hex('0e 000000')),
);

const over = (payload: Uint8Array, port = 443) => dissect(inTcp(40000, port, payload));

describe('TLS', () => {
  it('reads a Client Hello', () => {
    const packet = over(CLIENT);
    expect(packet.protocols).toEqual(['ip', 'tcp', 'tls']);
    expect(packet).toMatchObject({ stop: null, remarks: [] });
    expect(fieldsOf(packet, 'tls')).toMatchObject({
      'tls.record.content_type': [22],
      'tls.record.version': [0x0303],
      'tls.record.length': [CLIENT.length - 5],
      'tls.handshake.type': [1],
      'tls.handshake.length': [CLIENT.length - 9],
      'tls.handshake.version': 0x0303,
      'tls.handshake.session_id_length': 2,
      'tls.handshake.session_id': '0102',
      'tls.handshake.ciphersuite': [0x0a0a, 0x1301, 0xc02f],
      'tls.handshake.extension.type': [0x1a1a, 0, 16, 43, 51],
      'tls.handshake.extensions_server_name': 'www.example.com',
      'tls.handshake.extensions_alpn_str': ['h2', 'http/1.1'],
      'tls.handshake.extensions.supported_version': [0x2a2a, 0x0304, 0x0303],
    });
    expect(packet.infos[2]).toBe('Client Hello (SNI=www.example.com, ALPN=h2,http/1.1)');
  });

  it('reads a Server Hello of version 1.3', () => {
    const packet = over(SERVER13);
    expect(packet).toMatchObject({ stop: null, remarks: [] });
    expect(fieldsOf(packet, 'tls')).toMatchObject({
      'tls.record.content_type': [22, 20, 23],
      'tls.handshake.type': [2],
      'tls.handshake.version': 0x0303,
      'tls.handshake.ciphersuite': [0x1301],
      'tls.handshake.extensions.supported_version': [0x0304],
      'tls.negotiated_version': 0x0304,
    });
    expect(packet.infos[2]).toBe('Server Hello (TLS 1.3), Change Cipher Spec, Application Data');
  });

  it('reads a Server Hello of version 1.2 and what follows it', () => {
    const packet = over(SERVER12);
    expect(packet).toMatchObject({ stop: null, remarks: [] });
    expect(fieldsOf(packet, 'tls')).toMatchObject({
      'tls.handshake.type': [2, 11, 14],
      'tls.negotiated_version': 0x0303,
      'tls.handshake.extensions_alpn_str': ['h2'],
    });
    expect(packet.infos[2]).toBe('Server Hello (TLS 1.2, ALPN=h2), Certificate, Server Hello Done');
  });

  it('hands the first hello to whoever asks', () => {
    const hello = (bytes: Uint8Array) => tlsHello(new DataView(bytes.buffer), 0, bytes.length);
    expect(hello(CLIENT)).toEqual({
      type: 'client',
      version: 0x0304,
      serverName: 'www.example.com',
      alpn: ['h2', 'http/1.1'],
      cipherSuite: -1,
    });
    expect(hello(SERVER12)).toMatchObject({
      type: 'server',
      version: 0x0303,
      alpn: ['h2'],
      cipherSuite: 0xc02f,
    });
    expect(hello(clientHello(hex('c02f')))).toMatchObject({ version: 0x0303, serverName: null, alpn: [] });
    expect(hello(record(23, hex('00')))).toBeNull();
  });

  it('reads alerts, and says which are secret', () => {
    const fatal = over(record(21, hex('02 28')));
    expect(fieldsOf(fatal, 'tls')).toMatchObject({
      'tls.alert_message.level': [2],
      'tls.alert_message.desc': [40],
    });
    expect(fatal.infos[2]).toBe('Alert (Level: Fatal, Description: Handshake Failure)');
    expect(over(record(21, new Uint8Array(26))).infos[2]).toBe('Encrypted Alert');
  });

  it('does not read encrypted handshake messages', () => {
    const finished = join(record(20, hex('01')), record(22, hex('14 00000c 000000000000000000000000')));
    expect(over(finished).infos[2]).toBe('Change Cipher Spec, Encrypted Handshake Message');
    // An explicit nonce of zeros is no Hello Request.
    expect(over(record(22, new Uint8Array(40))).infos[2]).toBe('Encrypted Handshake Message');
    expect(over(record(22, hex('00 000000'))).infos[2]).toBe('Hello Request');
    expect(over(record(22, new Uint8Array(40).fill(0xee))).infos[2]).toBe('Encrypted Handshake Message');
  });

  it('is found on any port, by its shape', () => {
    expect(over(CLIENT, 15008).protocols).toEqual(['ip', 'tcp', 'tls']);
    expect(over(CLIENT, 40001).protocols).toEqual(['ip', 'tcp', 'tls']);
  });

  it.each<[string, Uint8Array]>([
    ['the middle of a record', new Uint8Array(100).fill(0x5a)],
    ['HTTP', ascii('GET / HTTP/1.1\r\n\r\n')],
    ['less than a record header', hex('16 03 01 00')],
    ['an unknown version', hex('16 0305 0010 01')],
    ['an unknown content type', hex('1c 0303 0010 01')],
    ['a record without content', hex('17 0303 0000')],
    ['a record that is too long', hex('17 0303 ffff 00')],
    ['a cipher change of two bytes', hex('14 0303 0002 01')],
  ])('is not %s', (_what, payload) => {
    const packet = over(payload);
    expect(packet.protocols).toEqual(['ip', 'tcp']);
    expect(packet).toMatchObject({ stop: null, remarks: [] });
  });

  it('shows as much of a hello as its segment has', () => {
    for (let length = 6; length < CLIENT.length; length++) {
      const packet = over(CLIENT.subarray(0, length));
      expect(packet.protocols).toEqual(['ip', 'tcp', 'tls']);
      expect(packet.stop).toBeNull();
      expect(codesOf(packet)).toEqual(['tls.segmented']);
    }
    const part = over(CLIENT.subarray(0, -17));
    expect(part.infos[2]).toBe('Client Hello (SNI=www.example.com, ALPN=h2,http/1.1)');
  });

  it('stops at bytes that are no record', () => {
    const packet = over(join(record(23, hex('00')), ascii('something else')));
    expect(codesOf(packet)).toEqual(['tls.no-record']);
    expect(packet.stop).toBeNull();
  });

  it('keeps lengths within what holds them', () => {
    // A server name list, a name and a protocol longer than their extensions.
    for (const [type, data] of [
      [0, '00ff 00 0003 616263'],
      [0, '0006 00 00ff 616263'],
      [16, '00ff 02 6832'],
      [16, '0003 ff 6832'],
      [43, 'ff 0304'],
    ] as const) {
      const packet = over(clientHello(hex('1301'), extension(type, hex(data)), serverName('b.example')));
      expect(packet.stop).toBeNull();
      expect(fieldsOf(packet, 'tls')).toMatchObject({ 'tls.handshake.extensions_server_name': 'b.example' });
    }
  });

  it('keeps what was captured', () => {
    for (const payload of [CLIENT, SERVER13, SERVER12])
      expectTruncationsKeepLayers(inTcp(40000, 443, payload));
  });

  it('survives anything', () => expectSurvivesAnything('tls', [CLIENT, SERVER13, SERVER12]));
});
