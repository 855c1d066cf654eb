/** So many in a minute, at once or spread. Time is monotonic milliseconds. */
export class Rate {
  readonly #perMinute: number
  #left: number
  #at: number

  constructor(perMinute: number, now: number) {
    this.#perMinute = perMinute
    this.#left = perMinute
    this.#at = now
  }

  /** Zero: it may pass. Else the seconds after which the next one may. */
  take(now: number): number {
    this.#left = Math.min(this.#perMinute, this.#left + ((now - this.#at) / 60_000) * this.#perMinute)
    this.#at = now
    if (this.#left < 1) return Math.ceil(((1 - this.#left) / this.#perMinute) * 60)
    this.#left -= 1
    return 0
  }
}
