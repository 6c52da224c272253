import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KeyLog } from '../../src/decrypt/key-log.ts';
import { Side, TlsSession } from '../../src/decrypt/tls-session.ts';
import { certificate, privateKey } from './certificate.ts';
import * as trace from './rfc8448.ts';

type Piece = readonly [side: Side, bytes: Uint8Array];

/** What a session makes of pieces in the order of their capture. */
function read(keyLog: KeyLog, pieces: readonly Piece[]) {
  const application: [Buffer, Buffer] = [Buffer.alloc(0), Buffer.alloc(0)];
  const hellos: string[] = [];
  const session = new TlsSession(keyLog, {
    clientHello: ({ serverName, alpn }) => hellos.push(`client ${serverName} ${alpn}`),
    serverHello: ({ version, cipherSuite }) => hellos.push(`server ${version} ${cipherSuite}`),
    application: (side, bytes) => {
      application[side] = Buffer.concat([application[side], bytes]);
    },
  });
  for (const [side, bytes] of pieces) session.data(side, bytes);
  const { opened, refused, keys, alpn, identities, problem } = session;
  const [sent, received] = application;
  return { sent, received, hellos, opened, refused, keys, alpn, identities, problem };
}

const { client, server } = Side;
const data = Buffer.from(Array.from({ length: 50 }, (_, i) => i));
const rfcPieces: Piece[] = [
  [client, trace.clientHello],
  [server, trace.serverHello],
  [server, trace.serverFlight],
  [client, trace.clientFinished],
  [server, trace.newSessionTicket],
  [client, trace.clientData],
  [server, trace.serverData],
];
const rfcRead = {
  sent: data,
  received: data,
  hellos: ['client server ', 'server 772 4865'],
  opened: 5,
  refused: 0,
  keys: 'found',
  problem: null,
};

describe('the trace of RFC 8448 section 3', () => {
  it('opens', () => {
    expect(read(new KeyLog().add(trace.keyLog), rfcPieces)).toMatchObject(rfcRead);
  });

  it('opens in pieces of any size', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 700 }), (size) => {
        const pieces = rfcPieces.flatMap(([side, bytes]) =>
          Array.from(
            { length: Math.ceil(bytes.length / size) },
            (_, i) => [side, bytes.subarray(i * size, (i + 1) * size)] as const,
          ),
        );
        expect(read(new KeyLog().add(trace.keyLog), pieces)).toMatchObject(rfcRead);
      }),
      { numRuns: 40 },
    );
  });

  it("opens where all of the client's bytes come before the server's", () => {
    const pieces = [...rfcPieces].sort(([a], [b]) => a - b);
    expect(read(new KeyLog().add(trace.keyLog), pieces)).toMatchObject(rfcRead);
  });

  it('stays closed without secrets, but for the hellos', () => {
    const closed = read(new KeyLog(), rfcPieces);
    expect(closed).toMatchObject({ hellos: rfcRead.hellos, keys: 'missing', opened: 0, refused: 0 });
    expect(closed.sent.length + closed.received.length).toBe(0);
  });

  it.each(Object.keys(trace.secrets))('tells that %s is missing', (label) => {
    const some = trace.keyLog.split('\n').filter((line) => !line.startsWith(label));
    const { keys, refused, sent, received } = read(new KeyLog().add(some.join('\n')), rfcPieces);
    expect({ keys, refused }).toEqual({ keys: 'partial', refused: 0 });
    const lost = label.startsWith('CLIENT') ? sent : received;
    expect([lost.length, sent.length + received.length]).toEqual([0, data.length]);
  });

  it('goes on behind a record that was damaged', () => {
    const damaged = rfcPieces.map(([side, bytes], i): Piece => {
      const copy = bytes.slice();
      if (i === 4) copy[40] ^= 1;
      return [side, copy];
    });
    expect(read(new KeyLog().add(trace.keyLog), damaged)).toMatchObject({
      ...rfcRead,
      opened: 4,
      refused: 1,
    });
  });

  it('refuses what other secrets protect', () => {
    const other = trace.keyLog.replaceAll(/ [0-9a-f]{64}$/gm, ` ${'5a'.repeat(32)}`);
    expect(read(new KeyLog().add(other), rfcPieces)).toMatchObject({ keys: 'found', opened: 0, refused: 5 });
  });

  it('survives any change', () => {
    const changes = fc.array(fc.tuple(fc.nat(rfcPieces.length - 1), fc.nat(800), fc.nat(255)), {
      maxLength: 6,
    });
    fc.assert(
      fc.property(changes, (changes) => {
        const pieces = rfcPieces.map(([side, bytes]): Piece => [side, bytes.slice()]);
        for (const [piece, at, value] of changes) {
          const [, bytes] = pieces[piece];
          bytes[at % bytes.length] = value;
        }
        const { sent, received } = read(new KeyLog().add(trace.keyLog), pieces);
        for (const plain of [sent, received]) expect(data.subarray(0, plain.length)).toEqual(plain);
      }),
      { numRuns: 300 },
    );
  });
});

/** A real connection through a relay that notes what passes. */
async function record(
  options: tls.TlsOptions & tls.ConnectionOptions,
  talk: (client: tls.TLSSocket, server: tls.TLSSocket) => Promise<void>,
  serverOptions: tls.TlsOptions = {},
) {
  const pieces: [Side, Buffer][] = [];
  const keyLog = new KeyLog();
  const server = tls.createServer({
    key: privateKey,
    cert: certificate,
    rejectUnauthorized: false,
    ...options,
    ...serverOptions,
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const relay = net.createServer((near) => {
    const far = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
    near.on('data', (bytes) => {
      pieces.push([Side.client, bytes]);
      far.write(bytes);
    });
    far.on('data', (bytes) => {
      pieces.push([Side.server, bytes]);
      near.write(bytes);
    });
    near.on('end', () => far.end());
    far.on('end', () => near.end());
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  const accepted = once(server, 'secureConnection') as Promise<[tls.TLSSocket]>;
  const socket = tls.connect({
    port: (relay.address() as net.AddressInfo).port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ...options,
  });
  socket.on('keylog', (line: Buffer) => keyLog.add(line.toString('latin1')));
  await once(socket, 'secureConnect');
  const [peer] = await accepted;
  await talk(socket, peer);
  socket.end();
  await once(peer, 'end');
  peer.end();
  await once(socket, 'close');
  relay.close();
  server.close();
  return read(keyLog, pieces);
}

async function echo(client: tls.TLSSocket, server: tls.TLSSocket, bytes: Buffer): Promise<void> {
  for (const [from, to] of [
    [client, server],
    [server, client],
  ]) {
    from.write(bytes);
    for (let left = bytes.length; left > 0; ) {
      const [chunk] = (await once(to, 'data')) as [Buffer];
      left -= chunk.length;
    }
  }
}

describe('connections of OpenSSL', () => {
  it.each(['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'])(
    '%s',
    async (ciphers) => {
      const bytes = Buffer.from('0123456789abcdef'.repeat(5000));
      const result = await record(
        { ciphers, minVersion: 'TLSv1.3', ALPNProtocols: ['h2'] },
        (client, server) => echo(client, server, bytes),
      );
      expect(result).toMatchObject({ keys: 'found', refused: 0, problem: null, alpn: 'h2' });
      expect(result.sent.equals(bytes) && result.received.equals(bytes)).toBe(true);
      expect(result.identities).toEqual([null, 'spiffe://cluster.example/ns/default/sa/server']);
    },
  );

  it('that begin anew with another group, and whose client shows a certificate too', async () => {
    const result = await record(
      { ecdhCurve: 'X25519:P-256', requestCert: true, key: privateKey, cert: certificate },
      (client, server) => echo(client, server, data),
      { ecdhCurve: 'P-256' },
    );
    expect(result.hellos).toHaveLength(2);
    expect(result.sent.equals(data) && result.received.equals(data)).toBe(true);
    expect(result.identities[Side.client]).toBe('spiffe://cluster.example/ns/default/sa/server');
  });

  it('of version 1.2 are left closed, and it says so', async () => {
    const result = await record({ maxVersion: 'TLSv1.2' }, (client, server) => echo(client, server, data));
    expect(result).toMatchObject({ keys: null, opened: 0, refused: 0 });
    expect(result.problem).toMatch(/other than TLS 1\.3/);
  });
});
