/**
 * The heap: one linear memory, shared by the instances of all threads, and a pointer that only moves up.
 * What is allocated is zero, aligned to a cache line, and never given back: tables grow by doubling.
 */

/** Where the address of the heap's end is kept; whoever makes the memory stores its first value there. */
const TOP: usize = 64;
/** Bytes behind the last that may be read: headers are fetched, and numbers read four bytes at a time, past a frame's end. */
const SLACK: u64 = 256;
/** Pages (64 KiB) by which the memory grows at least; untouched ones cost address space only. */
const GROWTH: u64 = 256;

export function allocate(size: usize): usize {
  const wanted = (size + 63) & ~(<usize>63);
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

export function be16(at: usize): u32 {
  return <u32>bswap<u16>(load<u16>(at));
}
export function be32(at: usize): u32 {
  return bswap<u32>(load<u32>(at));
}
