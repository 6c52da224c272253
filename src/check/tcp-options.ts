import { HEADER, optionKind, optionLength } from '../../dissectors/tcp.ts';

/** Where the TCP option of a kind begins in the header from `start` to `body`, if it has `size` bytes; -1 if not. */
export function tcpOption(view: DataView, start: number, body: number, kind: number, size: number): number {
  let at = start + HEADER;
  while (at + 1 < body) {
    const found = optionKind.read(view, at);
    if (found === 0) return -1;
    if (found === 1) {
      at++;
      continue;
    }
    const length = optionLength.read(view, at);
    if (length < 2 || at + length > body) return -1;
    if (found === kind) return length === size ? at : -1;
    at += length;
  }
  return -1;
}
