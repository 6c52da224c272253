/** Bytes that one option may have: its length is a 16-bit field, and its padding must fit into it too. */
export const MAX_OPTION = 0xfffc;
/** Bytes of text taken from one option that says no more; longer text is cut. */
const MAX_TEXT = 1024;

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
export function optionText(view: DataView, at: number, length: number, maximum = MAX_TEXT): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at, Math.min(length, maximum));
  const nul = bytes.indexOf(0);
  return decoder.decode(nul < 0 ? bytes : bytes.subarray(0, nul));
}
