/**
 * What `HboneReader` says of HBONE connections: TLS 1.3 with HTTP/2 CONNECT inside, on TCP port 15008 in Istio's ambient
 * mode. Without a key log the handshake's open half (`hello`) is all there is; with one, `streams` has the tunnelled
 * connections. Texts come from packets: escape them (`printable`) before they reach a terminal.
 */
import type { TlsHello } from '../../dissectors/tls.ts';

/** Where ztunnel listens for it. */
export const HBONE_PORT = 15008;

/** The packet that shows something. */
export interface Evidence {
  /** Null where it comes from a running device. */
  readonly file: string | null;
  /** Number of the packet in its file, from 1. */
  readonly number: number;
  /** Whole seconds since 1970, UTC, and nanoseconds within them. */
  readonly seconds: number;
  readonly nanoseconds: number;
}

export interface HboneEnd {
  readonly address: string;
  readonly port: number;
}

export interface HboneConnection {
  readonly client: HboneEnd;
  readonly server: HboneEnd;
  /** First packet of the connection. */
  readonly first: Evidence;
  /**
   * How the client began: with a TLS handshake, with something else, not at all so far; or the capture has no packet of
   * the beginning, and says nothing of it.
   */
  readonly start: 'tls' | 'not-tls' | 'no-data' | 'not-captured';
  /** Null unless `start` is 'tls' and the hello is complete. */
  readonly clientHello: HboneClientHello | null;
  /** What the server chose, null before its hello. */
  readonly serverHello: HboneServerHello | null;
  /**
   * Whether the key log knows this connection: all of its secrets, some, none. Null before the server's hello and where
   * there is nothing to decrypt it with: versions below 1.3, cipher suites other than AES-GCM and ChaCha20-Poly1305.
   */
  readonly keys: 'found' | 'partial' | 'missing' | null;
  /** Protocol inside that the server chose in secret (ALPN); null where that could not be read or none was chosen. */
  readonly alpn: string | null;
  /** SPIFFE or other URI of the certificate each side showed, decrypted; null where not read. */
  readonly clientIdentity: string | null;
  readonly serverIdentity: string | null;
  readonly decrypted: HboneRecords;
  /** HTTP/2 streams in the order of their first HEADERS. */
  readonly streams: readonly HboneStream[];
  /** Streams beyond those kept in `streams`. */
  readonly moreStreams: number;
  /** Why not everything could be read, one sentence each; empty where all was. */
  readonly problems: readonly string[];
}

export interface HboneClientHello {
  /** Highest version offered, 0x0304 for TLS 1.3. */
  readonly version: TlsHello['version'];
  readonly alpn: readonly string[];
  readonly serverName: string | null;
  readonly evidence: Evidence;
}

export interface HboneServerHello {
  /** Version chosen, 0x0304 for TLS 1.3. */
  readonly version: number;
  readonly cipherSuite: number;
  readonly evidence: Evidence;
}

/** Encrypted records of both directions together. */
export interface HboneRecords {
  readonly opened: number;
  /** Did not authenticate under the secrets there are. */
  readonly refused: number;
}

export interface HboneStream {
  readonly id: number;
  /** Request header fields, null where absent. */
  readonly method: string | null;
  readonly authority: string | null;
  readonly path: string | null;
  readonly baggage: string | null;
  readonly traceparent: string | null;
  readonly forwarded: string | null;
  /** Packet that completed the request's header fields; null where only the answer was seen. */
  readonly request: Evidence | null;
  /** Final `:status`, null before it. */
  readonly status: number | null;
  readonly response: Evidence | null;
  /** Tunnelled bytes: in DATA frames, without their padding. */
  readonly sent: number;
  readonly received: number;
  /** First line inside the tunnel each way, where it is HTTP/1: "GET / HTTP/1.1", "HTTP/1.1 200 OK". */
  readonly innerRequest: string | null;
  readonly innerResponse: string | null;
  /** Error code of RST_STREAM, null where there was none. */
  readonly reset: number | null;
}
