/** The options that bring keys. What they need is loaded only where they are given. */
import type { Capture } from '../capture/capture.ts';
import type { Registry } from '../core/registry.ts';
import type { DecryptingCapture } from '../decrypt/decrypting-capture.ts';
import type { KeyLog } from '../decrypt/key-log.ts';
import type { PacketHeaderReader } from '../decrypt/packet-headers.ts';
import { UsageError } from '../errors.ts';
import { readWholeFile } from '../whole-file.ts';
import type { InputOptions } from './context.ts';
import type { Analysis } from './input.ts';

/** Wraps a capture so that packets which `--esp-sa` and `--macsec-key` have keys for are read as what is inside. */
export type Unprotect = (capture: Capture, registry: Registry) => DecryptingCapture;

/** Null where no keys are given. */
export async function unprotectWith(
  { espSa = [], macsecKey = [] }: InputOptions,
  signal: AbortSignal,
): Promise<Unprotect | null> {
  if (espSa.length + macsecKey.length === 0) return null;
  const [
    { DecryptingCapture },
    { ESP_OPTION, SecurityAssociation },
    { MACSEC_OPTION, MacsecKey },
    { specTexts },
  ] = await Promise.all([
    import('../decrypt/decrypting-capture.ts'),
    import('../decrypt/esp.ts'),
    import('../decrypt/macsec.ts'),
    import('../decrypt/key-spec.ts'),
  ]);
  const keys = {
    esp: (await specTexts(ESP_OPTION, espSa, signal)).map((text) => SecurityAssociation.parse(text)),
    macsec: (await specTexts(MACSEC_OPTION, macsecKey, signal)).map((text) => MacsecKey.parse(text)),
  };
  return (capture, registry) => new DecryptingCapture(capture, registry, keys);
}

const TLS_OPTION = '--tls-keys';
/** Bytes of a key log, enough for 100 000 connections. */
const MAX_KEY_LOG = 1 << 26;

/** Null where there can be no secrets: none are given, and only pcapng brings its own. */
export async function keyLogOf(
  { tlsKeys }: InputOptions,
  capture: Capture,
  signal: AbortSignal,
): Promise<KeyLog | null> {
  if (tlsKeys === undefined && !capture.files.some(({ format }) => format === 'pcapng')) return null;
  const { KeyLog } = await import('../decrypt/key-log.ts');
  const keyLog = new KeyLog(capture.secrets);
  if (tlsKeys === undefined) return keyLog;
  const bytes = await readWholeFile(TLS_OPTION, tlsKeys, MAX_KEY_LOG, signal);
  if (keyLog.add(bytes.toString('latin1')).count === 0)
    throw new UsageError(
      `${TLS_OPTION} ${tlsKeys}: no secrets of TLS 1.3 in it, lines like CLIENT_TRAFFIC_SECRET_0`,
    );
  return keyLog;
}

export async function packetHeaders({
  dissector,
  roles,
  keyLog,
}: Analysis): Promise<PacketHeaderReader | null> {
  if (keyLog === null) return null;
  const { PacketHeaderReader } = await import('../decrypt/packet-headers.ts');
  return new PacketHeaderReader(dissector, roles, keyLog);
}
