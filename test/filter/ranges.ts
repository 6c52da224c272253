/** Frame numbers as goldens and lists of differences have them: "1-3,7". */
export function* inRanges(text: string): Generator<number> {
  for (const part of text.split(',')) {
    const [first, last = first] = part.split('-').map(Number);
    for (let number = first; number <= last; number++) yield number;
  }
}
