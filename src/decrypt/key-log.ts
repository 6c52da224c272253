/**
 * TLS secrets in the format of SSLKEYLOGFILE (draft-ietf-tls-keylogfile), the one of NSS: lines of
 *
 *   LABEL <client random, 64 hex digits> <secret, hex>
 *
 * Everything else (comments, labels of other versions and of exporters) is passed over: the format is open to it.
 */

/** Labels of the secrets that protect records of TLS 1.3, as RFC 8446 section 7.1 derives them. */
const LABELS = {
  CLIENT_HANDSHAKE_TRAFFIC_SECRET: 'clientHandshake',
  SERVER_HANDSHAKE_TRAFFIC_SECRET: 'serverHandshake',
  CLIENT_TRAFFIC_SECRET_0: 'clientApplication',
  SERVER_TRAFFIC_SECRET_0: 'serverApplication',
} as const;
type Secret = (typeof LABELS)[keyof typeof LABELS];

export type TlsSecrets = { [S in Secret]?: Uint8Array };

/** Connections whose secrets are kept, about 1 kB each: what a log has beyond them is not looked at. */
const MAX_CONNECTIONS = 1 << 18;

// The longest secret is that of SHA-384, 48 bytes.
const LINE = /^([A-Z0-9_]{1,64}) ([0-9a-f]{64}) ([0-9a-f]{64}|[0-9a-f]{96})$/i;

export class KeyLog {
  private readonly secrets = new Map<string, TlsSecrets>();
  /** Secrets taken from the lines added. */
  count = 0;
  private readonly growing: readonly string[];
  /** How many of `growing` were taken. */
  private taken = 0;

  /** @param growing Key logs that come while a capture is read: `Capture.secrets`. */
  constructor(growing: readonly string[] = []) {
    this.growing = growing;
  }

  /** Takes what a key log says; a later line wins over an earlier one. */
  add(text: string): this {
    for (let at = 0; at < text.length; ) {
      const newline = text.indexOf('\n', at);
      const end = newline < 0 ? text.length : newline;
      this.line(text.slice(at, Math.min(end, at + 512)).trim());
      at = end + 1;
    }
    return this;
  }

  private line(line: string): void {
    const match = LINE.exec(line);
    if (match === null) return;
    const label = LABELS[match[1].toUpperCase() as keyof typeof LABELS];
    if (label === undefined) return;
    const random = match[2].toLowerCase();
    let known = this.secrets.get(random);
    if (known === undefined) {
      if (this.secrets.size === MAX_CONNECTIONS) return;
      known = {};
      this.secrets.set(random, known);
    }
    known[label] = Buffer.from(match[3], 'hex');
    this.count++;
  }

  get isEmpty(): boolean {
    return this.count === 0 && this.growing.length === 0;
  }

  /** Secrets of the connection whose ClientHello has this random, in lower-case hex. */
  find(clientRandom: string): TlsSecrets | undefined {
    while (this.taken < this.growing.length) this.add(this.growing[this.taken++]);
    return this.secrets.get(clientRandom);
  }
}
