/** A map that forgets what was set longest ago, once it is full. */
export class LruMap<V> {
  readonly #max: number
  readonly #rows = new Map<string, V>()

  constructor(max: number) {
    this.#max = max
  }

  get(key: string): V | undefined {
    return this.#rows.get(key)
  }

  set(key: string, value: V): void {
    this.#rows.delete(key)
    this.#rows.set(key, value)
    if (this.#rows.size <= this.#max) return
    for (const oldest of this.#rows.keys()) {
      this.#rows.delete(oldest)
      return
    }
  }

  values(): Iterable<V> {
    return this.#rows.values()
  }
}
