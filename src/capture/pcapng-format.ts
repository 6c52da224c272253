/** Numbers of pcapng that its reader and its writer share; draft-ietf-opsawg-pcapng sections 3.5, 4 and 11.1. */

/** Type of the section header block. A palindrome: the same number in both byte orders. */
export const SECTION_HEADER = 0x0a0d0d0a;
export const INTERFACE_DESCRIPTION = 1;
/** Obsolete. */
export const PACKET = 2;
export const SIMPLE_PACKET = 3;
export const NAME_RESOLUTION = 4;
export const INTERFACE_STATISTICS = 5;
export const ENHANCED_PACKET = 6;
export const DECRYPTION_SECRETS = 10;

export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

export const OPT_COMMENT = 1;
export const SHB_USERAPPL = 4;
export const IF_NAME = 2;
export const IF_DESCRIPTION = 3;
export const IF_TSRESOL = 9;
export const IF_FCSLEN = 13;
export const IF_TSOFFSET = 14;
export const EPB_FLAGS = 2;
export const ISB_IFRECV = 4;
export const ISB_IFDROP = 5;

/**
 * Interfaces of one capture, so that a hostile file cannot fill the memory. What is written keeps below it too: it is
 * to be read again.
 */
export const MAX_INTERFACES = 65_536;
