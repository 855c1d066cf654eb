/** So many a second, and so many at once after a pause. On whatever clock it is asked with, in milliseconds. */
export class TokenBucket {
  readonly #perMs: number
  readonly #burst: number
  #tokens: number
  #at: number | undefined

  constructor({ perS, burst }: { perS: number; burst: number }) {
    this.#perMs = perS / 1_000
    this.#burst = burst
    this.#tokens = burst
  }

  /** Takes one if there is one. */
  take(nowMs: number): boolean {
    this.#fill(nowMs)
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }

  /** Takes one, now or in the future; returns when it may be used. First come, first served. */
  reserve(nowMs: number): number {
    this.#fill(nowMs)
    this.#tokens--
    return this.#tokens >= 0 ? nowMs : nowMs - this.#tokens / this.#perMs
  }

  #fill(nowMs: number): void {
    const passedMs = Math.max(0, nowMs - (this.#at ?? nowMs))
    this.#tokens = Math.min(this.#burst, this.#tokens + passedMs * this.#perMs)
    this.#at = Math.max(nowMs, this.#at ?? nowMs)
  }
}
