/** Bytes of a packet as offset, hex and characters, sixteen to a line. */

export function hexdump(bytes: Uint8Array, from: number, to: number): string[] {
  const lines: string[] = [];
  for (let at = from; at < to; at += 16) {
    const row = bytes.subarray(at, Math.min(at + 16, to));
    const hex = Array.from(row, (byte) => byte.toString(16).padStart(2, '0'));
    const halves = [hex.slice(0, 8).join(' '), hex.slice(8).join(' ')];
    const text = Array.from(row, (byte) =>
      byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.',
    ).join('');
    lines.push(`${(at - from).toString(16).padStart(4, '0')}  ${halves.join('  ').padEnd(48)}  ${text}`);
  }
  return lines;
}
