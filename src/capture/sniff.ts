import { pcapByteOrder } from './pcap.ts';
import { SECTION_HEADER } from './pcapng-format.ts';

/** Bytes needed to tell formats apart; fewer are there only where the file is shorter. */
export const SNIFF_SIZE = 16;

export type Compression = 'gzip' | 'zstd' | 'lz4';

/** What the first bytes of a file say it is. */
export type FileKind =
  | { readonly format: 'pcap'; readonly littleEndian: boolean }
  | { readonly format: 'pcapng' }
  | { readonly compression: Compression }
  /** Too short to tell, but so far like a capture. */
  | { readonly damage: string }
  | { readonly refusal: string };

/** Magic bytes of captures and compressed streams, for files shorter than their magic number. */
const CAPTURE_MAGICS = ['d4c3b2a1', 'a1b2c3d4', '4d3cb2a1', 'a1b23c4d', '34cdb2a1', 'a1b2cd34', '0a0d0d0a'];
const COMPRESSED_MAGICS = ['1f8b', '28b52ffd', '04224d18'];

/** Files that people hand to capture tools, by their first bytes. */
const KNOWN: readonly (readonly [magic: string, what: string])[] = [
  ['cbc3b2a1', 'a savefile of compiled BPF, which holds no packets'],
  ['a1b2c3cb', 'a savefile of compiled BPF, which holds no packets'],
  ['cd34b2a1', 'the unpublished pcap variant a1b234cd, which no tool reads'],
  ['a1b234cd', 'the unpublished pcap variant a1b234cd, which no tool reads'],
  ['736e6f6f70', 'a snoop capture; convert it with editcap'],
  ['474d4255', 'a Microsoft Network Monitor capture; convert it with editcap'],
  ['54525300ff', 'a Sniffer capture; convert it with editcap'],
  ['0a2d2d', 'text, perhaps a K12 capture; convert it with editcap'],
  ['fd377a585a00', 'xz-compressed; unpack it first, e.g. xz -dc FILE | tunscope flows -'],
  ['425a68', 'bzip2-compressed; unpack it first, e.g. bzip2 -dc FILE | tunscope flows -'],
  ['02214c18', 'compressed in the legacy lz4 format; unpack it first, e.g. lz4 -dc FILE | tunscope flows -'],
  ['504b0304', 'a zip archive; unpack it first'],
  ['377abcaf271c', 'a 7z archive; unpack it first'],
  ['7f454c46', 'a program (ELF)'],
  ['fffe', 'UTF-16 text; PowerShell redirection damages binary output'],
  ['efbfbd', 'binary data that was converted as text, which destroys it'],
  ['0a0d0a0d', 'a pcapng file damaged by a text-mode transfer (line ends were rewritten)'],
  ['0d0a0d0d', 'a pcapng file damaged by a text-mode transfer (line ends were rewritten)'],
  ['0a0a', 'a pcapng file damaged by a text-mode transfer (line ends were rewritten)'],
  ['0a0d0a', 'a pcapng file damaged by a text-mode transfer (line ends were rewritten)'],
  ['0d0d0a', 'a pcapng file damaged by a text-mode transfer (line ends were rewritten)'],
];

/** Recognises a file by its first bytes, up to `SNIFF_SIZE` of them. */
export function sniff(bytes: Uint8Array): FileKind {
  const hex = Buffer.from(bytes.subarray(0, SNIFF_SIZE)).toString('hex');
  if (hex === '') return { damage: 'empty file' };
  if (hex.startsWith('1f8b')) return { compression: 'gzip' };
  if (hex.startsWith('28b52ffd') || /^5.2a4d18/.test(hex)) return { compression: 'zstd' };
  if (hex.startsWith('04224d18')) return { compression: 'lz4' };
  if (bytes.length >= 4) {
    const magic = Number.parseInt(hex.slice(0, 8), 16);
    if (magic === SECTION_HEADER) return { format: 'pcapng' };
    const order = pcapByteOrder(magic);
    if (order !== null) return { format: 'pcap', littleEndian: order === 'little' };
  } else if ([...CAPTURE_MAGICS, ...COMPRESSED_MAGICS].some((magic) => magic.startsWith(hex))) {
    return { damage: `magic number cut: 4 bytes expected, ${bytes.length} there` };
  }
  const known = KNOWN.find(([magic]) => hex.startsWith(magic));
  return { refusal: `not a capture: ${known === undefined ? `starts with ${firstBytes(bytes)}` : known[1]}` };
}

/** The first bytes as people recognise them: text as text, the rest in hex. */
function firstBytes(bytes: Uint8Array): string {
  const head = bytes.subarray(0, SNIFF_SIZE);
  const isText = head.every(
    (byte) => (byte >= 0x20 && byte < 0x7f) || byte === 0x0a || byte === 0x0d || byte === 9,
  );
  if (isText) return JSON.stringify(Buffer.from(head).toString('latin1'));
  return `bytes ${Buffer.from(head.subarray(0, 8))
    .toString('hex')
    .replace(/..(?!$)/g, '$& ')}`;
}
