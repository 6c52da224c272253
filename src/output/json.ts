/** Records as JSON. */

// JSON.stringify escapes C0 only. These too are obeyed by terminals (DEL, C1) or change how a line reads (bidi marks and
// overrides, zero-width characters, line separators), and the output of a command is read on terminals.
const UNSAFE = /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/;
const EACH_UNSAFE = new RegExp(UNSAFE, 'g');

/** `value` on one line; packet text in it is harmless to a terminal and the same once parsed. */
export function jsonText(value: object | string | number | boolean): string {
  const text = JSON.stringify(value);
  if (!UNSAFE.test(text)) return text;
  return text.replace(
    EACH_UNSAFE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
