/** Records protected here, in what the trace of RFC 8448 does not have: updated keys, padding, early data, long messages. */
import { createCipheriv, createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { KeyLog } from '../../src/decrypt/key-log.ts';
import { Side, TlsSession } from '../../src/decrypt/tls-session.ts';
import { hex, join, uint16 } from '../dissectors/packet.ts';
import * as trace from './rfc8448.ts';

/** HKDF-Expand-Label with an empty context for SHA-256 (RFC 8446 section 7.1). */
function expandLabel(secret: Buffer, label: string, length: number): Buffer {
  const full = Buffer.from(`tls13 ${label}`);
  const info = join(uint16(length), Uint8Array.of(full.length), full, Uint8Array.of(0, 1));
  return createHmac('sha256', secret).update(info).digest().subarray(0, length);
}

/** One direction's sender under TLS_AES_128_GCM_SHA256. */
class Sender {
  private secret: Buffer;
  private sequence = 0;

  constructor(secret: string) {
    this.secret = Buffer.from(secret, 'hex');
  }

  record(type: number, content: Uint8Array, padding = 0): Buffer {
    const nonce = expandLabel(this.secret, 'iv', 12);
    nonce[11] ^= this.sequence++;
    const plain = join(content, Uint8Array.of(type), new Uint8Array(padding));
    const header = join(hex('170303'), uint16(plain.length + 16));
    const cipher = createCipheriv('aes-128-gcm', expandLabel(this.secret, 'key', 16), nonce);
    cipher.setAAD(header);
    return Buffer.concat([header, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  }

  /** Moves to the next secret behind a KeyUpdate message. */
  update(): Buffer {
    const message = this.record(22, hex('18000001 00'));
    this.secret = expandLabel(this.secret, 'traffic upd', 32);
    this.sequence = 0;
    return message;
  }
}

const APPLICATION = 23;
const HANDSHAKE = 22;
const secrets = trace.secrets;
const text = (content: string) => Buffer.from(content);

function sessionOf() {
  const received: string[] = [];
  const session = new TlsSession(new KeyLog().add(trace.keyLog), {
    clientHello() {},
    serverHello() {},
    application: (side, bytes) => received.push(`${side}:${Buffer.from(bytes)}`),
  });
  session.data(Side.client, trace.clientHello);
  session.data(Side.server, trace.serverHello);
  return { session, received };
}

/** Just the message that ends the handshake. */
const finished = join(hex('14000020'), new Uint8Array(32));

describe('records beyond the trace', () => {
  it('follow key updates, each direction its own', () => {
    const { session, received } = sessionOf();
    session.data(
      Side.server,
      new Sender(secrets.SERVER_HANDSHAKE_TRAFFIC_SECRET).record(HANDSHAKE, finished),
    );
    const sender = new Sender(secrets.SERVER_TRAFFIC_SECRET_0);
    for (const content of ['one', 'two', 'three']) {
      session.data(Side.server, sender.record(APPLICATION, text(content)));
      session.data(Side.server, sender.update());
    }
    session.data(Side.server, sender.record(APPLICATION, text('four')));
    expect(received).toEqual(['1:one', '1:two', '1:three', '1:four']);
    expect(session.refused).toBe(0);
  });

  it('lose their padding, and may be nothing else', () => {
    const { session, received } = sessionOf();
    session.data(
      Side.server,
      new Sender(secrets.SERVER_HANDSHAKE_TRAFFIC_SECRET).record(HANDSHAKE, finished, 300),
    );
    const sender = new Sender(secrets.SERVER_TRAFFIC_SECRET_0);
    session.data(Side.server, sender.record(APPLICATION, new Uint8Array(0), 100));
    session.data(Side.server, sender.record(0, new Uint8Array(0), 100));
    session.data(Side.server, sender.record(APPLICATION, text('end\0'), 1));
    expect(received).toEqual(['1:', '1:end\0']);
  });

  it('carry handshake messages that go over their ends, or several at once', () => {
    const { session, received } = sessionOf();
    const sender = new Sender(secrets.SERVER_HANDSHAKE_TRAFFIC_SECRET);
    const messages = join(hex('0b020000'), new Uint8Array(0x20000), finished);
    for (let at = 0; at < messages.length; at += 16_000)
      session.data(Side.server, sender.record(HANDSHAKE, messages.subarray(at, at + 16_000)));
    session.data(Side.server, new Sender(secrets.SERVER_TRAFFIC_SECRET_0).record(APPLICATION, text('after')));
    expect([session.problem, received]).toEqual([null, ['1:after']]);
  });

  it('are given up where a message announces more than any has', () => {
    const { session } = sessionOf();
    const sender = new Sender(secrets.SERVER_HANDSHAKE_TRAFFIC_SECRET);
    for (let i = 0; i < 10 && session.problem === null; i++)
      session.data(
        Side.server,
        sender.record(HANDSHAKE, join(hex(i === 0 ? '0bffffff' : ''), new Uint8Array(16_000))),
      );
    expect(session.problem).toMatch(/too long/);
  });

  it('of early data are passed over', () => {
    const { session, received } = sessionOf();
    session.data(Side.client, new Sender('00'.repeat(32)).record(APPLICATION, text('early')));
    session.data(
      Side.client,
      new Sender(secrets.CLIENT_HANDSHAKE_TRAFFIC_SECRET).record(HANDSHAKE, finished),
    );
    session.data(Side.client, new Sender(secrets.CLIENT_TRAFFIC_SECRET_0).record(APPLICATION, text('late')));
    expect([received, session.refused]).toEqual([['0:late'], 1]);
  });
});
