/** A map that forgets its oldest entries, so that no capture can make it grow without end. */
export class BoundedMap<K, V> {
  private readonly entries = new Map<K, V>();
  private readonly maximum: number;
  /** Entries that had to go. */
  forgotten = 0;

  constructor(maximum: number) {
    this.maximum = maximum;
  }

  get size(): number {
    return this.entries.size;
  }

  get(key: K): V | undefined {
    return this.entries.get(key);
  }

  set(key: K, value: V): void {
    if (this.entries.size >= this.maximum && !this.entries.has(key)) {
      this.entries.delete(this.entries.keys().next().value!);
      this.forgotten++;
    }
    this.entries.set(key, value);
  }

  values(): IterableIterator<V> {
    return this.entries.values();
  }
}
