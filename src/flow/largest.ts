/** The largest of many values, by a heap: sorting a million flows to print fifty takes ten times as long. */

/** Indices of the `limit` largest values, largest first; equal ones in order. */
export function largest(values: Float64Array, limit: number): number[] {
  const isBefore = (a: number, b: number) => values[a] > values[b] || (values[a] === values[b] && a < b);
  const order = (a: number, b: number) => values[b] - values[a] || a - b;
  const count = values.length;
  if (limit >= count / 8) {
    return Array.from(values, (_, i) => i)
      .sort(order)
      .slice(0, limit);
  }
  // The root is the one that goes first when a larger comes.
  const heap: number[] = [];
  for (let i = 0; i < count; i++) {
    if (heap.length < limit) {
      heap.push(i);
      for (let at = heap.length - 1; at > 0; ) {
        const parent = (at - 1) >> 1;
        if (!isBefore(heap[parent], heap[at])) break;
        [heap[parent], heap[at]] = [heap[at], heap[parent]];
        at = parent;
      }
    } else if (limit > 0 && isBefore(i, heap[0])) {
      heap[0] = i;
      for (let at = 0; ; ) {
        let last = at;
        for (const child of [2 * at + 1, 2 * at + 2]) {
          if (child < limit && isBefore(heap[last], heap[child])) last = child;
        }
        if (last === at) break;
        [heap[last], heap[at]] = [heap[at], heap[last]];
        at = last;
      }
    }
  }
  return heap.sort(order);
}
