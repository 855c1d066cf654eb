/** So many calls a second, and so many at once after a rest. Routine work leaves the last `reserve` of those untouched. */
export type Rate = { perS: number; burst: number; reserve: number }

/** How long nothing is sent after the provider asked for fewer calls; twice as long when it asks again. */
const PAUSE_MS = 500
const PAUSE_MAX_MS = 30_000
/** How slow it becomes at the least, and how much faster again in a second. */
const SHARE_MIN = 0.1
const SHARE_PER_S = 0.05
const HAIR = 1e-9

/**
 * A token bucket that slows down when the provider asks for fewer calls. On whatever clock it is asked with, in
 * milliseconds; it waits for nothing itself.
 *
 * Somebody else may use the same quota: another rotator, or a script. So after each refusal the rate is halved, and grows
 * again by itself. Several that do so come to share the quota without knowing of each other.
 */
export class Pace {
  readonly #rate: Rate
  readonly #random: () => number
  #tokens: number
  #at: number | undefined
  #share = 1
  #pausedUntil = Number.NEGATIVE_INFINITY
  #refusedAt = Number.NEGATIVE_INFINITY
  #refusals = 0

  constructor(rate: Rate, random: () => number = Math.random) {
    this.#rate = rate
    this.#random = random
    this.#tokens = rate.burst
  }

  /** Takes a turn if there is one, and is 0 then; else how long until there may be one. */
  take(nowMs: number, isUrgent: boolean): number {
    this.#fill(nowMs)
    const pausedMs = this.#pausedUntil - nowMs
    if (pausedMs > 0) return pausedMs
    const missing = 1 + (isUrgent ? 0 : this.#rate.reserve) - this.#tokens
    if (missing > HAIR) return missing / this.#perMs
    this.#tokens -= 1
    return 0
  }

  /** How long the last of so many that wait may have to. */
  expectedMs(nowMs: number, waiting: number): number {
    this.#fill(nowMs)
    return Math.max(0, this.#pausedUntil - nowMs) + waiting / this.#perMs
  }

  /** `takenAt`: when the call that was refused took its turn. What was under way together is refused together, and counts once. */
  refused(nowMs: number, takenAt: number): void {
    if (takenAt <= this.#refusedAt) return
    this.#fill(nowMs)
    const pauseMs = Math.min(PAUSE_MAX_MS, PAUSE_MS * 2 ** this.#refusals)
    this.#refusals++
    this.#refusedAt = nowMs
    // Apart, where several were refused at the same moment.
    this.#pausedUntil = nowMs + pauseMs * (0.75 + this.#random() / 2)
    this.#share = Math.max(SHARE_MIN, this.#share / 2)
    this.#tokens = 0
  }

  /** A call that took its turn then went through. */
  passed(takenAt: number): void {
    if (takenAt > this.#refusedAt) this.#refusals = 0
  }

  get #perMs(): number {
    return (this.#rate.perS * this.#share) / 1_000
  }

  #fill(nowMs: number): void {
    const from = Math.max(this.#at ?? nowMs, this.#pausedUntil)
    this.#at = Math.max(nowMs, this.#at ?? nowMs)
    const passedMs = Math.max(0, nowMs - from)
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + passedMs * this.#perMs)
    this.#share = Math.min(1, this.#share + (passedMs / 1_000) * SHARE_PER_S)
  }
}
