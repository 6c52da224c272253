/** Option codes used here; draft-ietf-opsawg-pcapng sections 3.5 and 4. */
export const OPT_COMMENT = 1;
export const IF_NAME = 2;
export const IF_DESCRIPTION = 3;
export const IF_TSRESOL = 9;
export const IF_FCSLEN = 13;
export const IF_TSOFFSET = 14;
export const EPB_FLAGS = 2;
export const ISB_IFRECV = 4;
export const ISB_IFDROP = 5;

/** Bytes of text taken from one option; longer text is cut. */
const MAX_TEXT = 4096;

const decoder = new TextDecoder();

/**
 * Visits the options in `view` from `at` to `end`: code(2) length(2) value, padded to 4. A missing
 * opt_endofopt is fine, an option that runs past `end` ends the list: the packet before it is still good.
 */
export function eachOption(
  view: DataView,
  at: number,
  end: number,
  littleEndian: boolean,
  visit: (code: number, at: number, length: number) => void,
): void {
  while (end - at >= 4) {
    const code = view.getUint16(at, littleEndian);
    const length = view.getUint16(at + 2, littleEndian);
    if (code === 0 || length > end - at - 4) return;
    visit(code, at + 4, length);
    at += 4 + ((length + 3) & ~3);
  }
}

/** Text of an option or name record: not terminated, but a NUL ends it. */
export function optionText(view: DataView, at: number, length: number): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at, Math.min(length, MAX_TEXT));
  const nul = bytes.indexOf(0);
  return decoder.decode(nul < 0 ? bytes : bytes.subarray(0, nul));
}
