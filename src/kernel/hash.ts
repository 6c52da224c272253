/**
 * Hashes keyed per run, so that nobody can prepare packets that all collide: sums of 64-bit words, each multiplied by a
 * random odd number (multiply-shift, Dietzfelbinger et al. 1997), of which the upper bits are used.
 */

export let m0: u64 = 0;
export let m1: u64 = 0;
export let m2: u64 = 0;
export let m3: u64 = 0;
export let m4: u64 = 0;
export let m5: u64 = 0;
export let m6: u64 = 0;

/** Takes seven random 64-bit numbers from `at`. */
export function seed(at: usize): void {
  m0 = load<u64>(at) | 1;
  m1 = load<u64>(at, 8) | 1;
  m2 = load<u64>(at, 16) | 1;
  m3 = load<u64>(at, 24) | 1;
  m4 = load<u64>(at, 32) | 1;
  m5 = load<u64>(at, 40) | 1;
  m6 = load<u64>(at, 48) | 1;
}

/** Hash state and one word more. */
export function mix(h: u64, word: u64): u64 {
  const x = (h ^ (h >> 32)) + word * m5;
  return (x ^ (x >> 29)) * m6;
}

/** The 32 bits of a hash state that a table goes by. */
export function tagOf(h: u64): u32 {
  return <u32>((h ^ (h >> 29)) * m4 >> 32);
}
