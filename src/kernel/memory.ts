/**
 * The heap: one linear memory, shared by the instances of all threads, and a pointer that only moves up. What is allocated
 * is zero and aligned to a cache line. Tables grow by doubling; what they leave is used again by the same instance.
 */

/** Where the address of the heap's end is kept; whoever makes the memory stores its first value there. */
const TOP: usize = 64;
/** Bytes behind the last that may be read: headers are fetched, and numbers read four bytes at a time, past a frame's end. */
const SLACK: u64 = 256;
/** Pages (64 KiB) by which the memory grows at least; untouched ones cost address space only. */
const GROWTH: u64 = 256;

/** A piece of memory that was given back: begins with its size and the address of the next one. */
@unmanaged
class Piece {
  size: usize;
  next: usize;
}
/** Smaller pieces are forgotten. */
const SMALLEST_PIECE: usize = 4096;
let pieces: usize = 0;

/** Gives memory back that was got by `allocate` with the same size. */
export function release(at: usize, size: usize): void {
  if (size < SMALLEST_PIECE) return;
  const piece = changetype<Piece>(at);
  piece.size = size & ~(<usize>63);
  piece.next = pieces;
  pieces = at;
}

/** The end of the first piece that is large enough, 0 where none is. */
function cut(wanted: usize): usize {
  let link: usize = 0;
  for (let at = pieces; at != 0; ) {
    const piece = changetype<Piece>(at);
    if (piece.size >= wanted) {
      piece.size -= wanted;
      const taken = at + piece.size;
      if (piece.size < SMALLEST_PIECE) {
        if (link == 0) pieces = piece.next;
        else changetype<Piece>(link).next = piece.next;
      }
      memory.fill(taken, 0, wanted);
      return taken;
    }
    link = at;
    at = piece.next;
  }
  return 0;
}

export function allocate(size: usize): usize {
  const wanted = (size + 63) & ~(<usize>63);
  const again = cut(wanted);
  if (again != 0) return again;
  const at = <usize>atomic.add<u32>(TOP, <u32>wanted);
  const end = <u64>at + <u64>wanted + SLACK;
  const have = <u64>memory.size() << 16;
  if (end > have) {
    const pages = (end - have + 0xffff) >> 16;
    const more = pages > GROWTH ? pages : GROWTH;
    if (memory.grow(<i32>more) < 0 && memory.grow(<i32>pages) < 0) unreachable(); // 4 GiB are used up
  }
  return at;
}

/**
 * Memory for a table in which empty places are read before they are written. Reading a new page maps the one page of zeros
 * that all share, and writing it then takes a second fault and interrupts the other threads' cores.
 */
export function allocateTable(size: usize): usize {
  const at = allocate(size);
  for (let i: usize = 0; i < size; i += 4096) store<u8>(at + i, 0);
  return at;
}

export function be16(at: usize): u32 {
  return <u32>bswap<u16>(load<u16>(at));
}
export function be32(at: usize): u32 {
  return bswap<u32>(load<u32>(at));
}
