import type { EffectKind } from '@rekey/core'
import type { ActPoint } from './faults.ts'
import type { Ground } from './ground.ts'

/**
 * One process: it can be killed, which ends all that it does, and stand still, which delays it. What it had sent by
 * then is on its way all the same.
 */
export class Process {
  readonly name: string
  readonly ground: Ground
  /** Grows with each start: what an earlier life began is never answered. */
  life = 1
  #upAt = 0
  #stillUntil = 0
  onRestart: () => void = () => undefined

  constructor(ground: Ground, name: string) {
    this.ground = ground
    this.name = name
  }

  /** It has only just gone on. */
  get wasStill(): boolean {
    return this.#stillUntil === this.ground.now
  }

  get isUp(): boolean {
    return this.ground.now >= this.#upAt
  }

  kill(ms: number): void {
    this.life++
    this.#upAt = this.ground.now + ms
    this.#stillUntil = 0
    const { life } = this
    this.ground.note('killed', this.name, ms)
    this.ground.after(ms, () => {
      if (this.life === life) this.onRestart()
    })
  }

  stop(ms: number): void {
    this.#stillUntil = Math.max(this.#stillUntil, this.ground.now + ms)
    this.ground.note('stands still', this.name, ms)
  }

  /** Runs in this process, after `ms`: later if it stands still, never if it was killed since. */
  after(ms: number, run: () => void | Promise<void>): void {
    const { life } = this
    const go = (): void | Promise<void> => {
      if (this.life !== life) return
      if (this.#stillUntil > this.ground.now) {
        this.ground.agenda.at(this.#stillUntil, go)
        return
      }
      return run()
    }
    this.ground.after(ms, go)
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(ms, () => {
        resolve()
        return this.ground.settle()
      })
    })
  }

  /**
   * A moment of an act. A killed process never comes out of it; one that stood still goes on as if nothing had been.
   */
  async moment(effect: EffectKind, point: ActPoint): Promise<void> {
    const fault = this.ground.strikeAct(effect, point)
    if (!fault) return
    if (fault.kind === 'crash') {
      this.kill(fault.ms)
      return new Promise(() => undefined)
    }
    this.stop(fault.ms)
    return this.sleep(0)
  }
}
