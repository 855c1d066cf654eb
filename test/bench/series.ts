/** Milliseconds, a million of them, without a million objects. */
export class Series {
  #values = new Float32Array(65_536)
  #length = 0

  add(ms: number): void {
    if (this.#length === this.#values.length) {
      const longer = new Float32Array(this.#length * 2)
      longer.set(this.#values)
      this.#values = longer
    }
    this.#values[this.#length++] = ms
  }

  summary(): Summary {
    const sorted = this.#values.slice(0, this.#length).sort()
    const at = (share: number) =>
      sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
    return {
      count: this.#length,
      p50: at(0.5),
      p99: at(0.99),
      p999: at(0.999),
      max: sorted.at(-1) ?? Number.NaN,
    }
  }
}

export type Summary = { count: number; p50: number; p99: number; p999: number; max: number }
