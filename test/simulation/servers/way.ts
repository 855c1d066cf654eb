import { RekeyError } from '@rekey/contracts'
import type { EffectKind } from '@rekey/core'
import type { Process } from '../process.ts'

export type Bound = { signal?: AbortSignal; key?: string }

/** Told before anything is changed outside: there must be an intent for it. */
export type OnWrite = (key: string | undefined, what: string) => void

export type AnyWay = Pick<Way, 'read' | 'write'>

/**
 * A worker's way to one server. A request takes time in both directions, and what was sent before its deadline may
 * arrive after it.
 */
export class Way {
  readonly #process: Process
  readonly #server: string
  readonly #effect: EffectKind
  readonly #onWrite: OnWrite
  /** The server itself checks who is late: a request may then be on its way for any time. */
  readonly #isFenced: boolean

  constructor(
    process: Process,
    about: { server: string; effect: EffectKind; onWrite: OnWrite; isFenced: boolean },
  ) {
    this.#process = process
    this.#server = about.server
    this.#effect = about.effect
    this.#onWrite = about.onWrite
    this.#isFenced = about.isFenced
  }

  read<T>(bound: Bound | undefined, answer: () => T): Promise<T> {
    return this.#request(bound, answer)
  }

  write<T>(bound: Bound | undefined, what: string, change: () => T): Promise<T> {
    return this.#request(bound, () => {
      this.#onWrite(bound?.key, what)
      this.#process.ground.note('outside', this.#server, what)
      return change()
    })
  }

  async #request<T>(bound: Bound | undefined, effect: () => T): Promise<T> {
    const signal = bound?.signal
    if (signal?.aborted) throw late(this.#server)
    // Between the look at the clock and the sending there is always a moment.
    await this.#process.moment(this.#effect, 'sending')
    if (!this.#isFenced) {
      // Whoever stood still looks at the clock again first.
      if (this.#process.wasStill) await this.#process.sleep(0)
      if (signal?.aborted) throw late(this.#server)
    }
    const answer = await this.#exchange(effect, signal)
    await this.#process.moment(this.#effect, 'answered')
    return answer
  }

  /** Where nobody checks who is late, a request is not on its way for longer than a lease is safe for. */
  #takes(): number {
    const ms = this.#process.ground.takes(1, 15)
    return this.#isFenced ? ms : Math.min(ms, 60)
  }

  #exchange<T>(effect: () => T, signal: AbortSignal | undefined): Promise<T> {
    const { ground } = this.#process
    const { random } = ground
    return new Promise<T>((resolve, reject) => {
      const cut = () => reject(late(this.#server))
      signal?.addEventListener('abort', cut, { once: true })
      const answer = (settle: () => void) =>
        this.#process.after(this.#takes(), () => {
          signal?.removeEventListener('abort', cut)
          settle()
          return ground.settle()
        })
      ground.after(this.#takes(), () => {
        const isHere = (fault: { server: string }) => fault.server === this.#server
        if (ground.hit('down', isHere, this.#effect))
          return answer(() => reject(new RekeyError('backend_unavailable', `${this.#server} is down`)))
        if (ground.hit('throttle', isHere, this.#effect) && random.chance(0.7))
          return answer(() => reject(new RekeyError('throttled', `${this.#server} asks for fewer calls`)))
        let result: T
        try {
          result = effect()
        } catch (error) {
          if (!RekeyError.is(error)) throw error
          return answer(() => reject(error))
        }
        // It took effect, and nobody will know.
        if (ground.hit('ambiguous', isHere, this.#effect) && random.chance(0.5)) return undefined
        return answer(() => resolve(result))
      })
    })
  }
}

function late(server: string): RekeyError {
  return new RekeyError('backend_timeout', `${server} did not answer before the deadline`)
}
