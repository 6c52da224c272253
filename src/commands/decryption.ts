/** The options that bring keys. What they need is loaded only where they are given. */
import type { Capture } from '../capture/capture.ts';
import type { Registry } from '../core/registry.ts';
import type { DecryptingCapture } from '../decrypt/decrypting-capture.ts';
import type { InputOptions } from './context.ts';

/** Wraps a capture so that packets which `--esp-sa` and `--macsec-key` have keys for are read as what is inside. */
export type Unprotect = (capture: Capture, registry: Registry) => DecryptingCapture;

/** Null where no keys are given. */
export async function unprotectWith({ espSa = [], macsecKey = [] }: InputOptions): Promise<Unprotect | null> {
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
    esp: specTexts(ESP_OPTION, espSa).map((text) => SecurityAssociation.parse(text)),
    macsec: specTexts(MACSEC_OPTION, macsecKey).map((text) => MacsecKey.parse(text)),
  };
  return (capture, registry) => new DecryptingCapture(capture, registry, keys);
}
