import type { Ground } from './ground.ts'

export type Job = { effect: string; nodes?: string[] }

/** Wake-ups: they may be lost, doubled, late or in another order, and carry nothing but a name. */
export class JobQueue {
  readonly #ground: Ground
  readonly #waiting = new Set<string>()
  readonly #consumers = new Map<string, (job: Job) => void>()
  /** Jobs that were added before a flush are gone. */
  #age = 0

  constructor(ground: Ground) {
    this.#ground = ground
  }

  get isReady(): boolean {
    return !this.#ground.hit('redis-down')
  }

  consume(queue: string, work: (job: Job) => void): void {
    this.#consumers.set(`${queue} ${this.#consumers.size}`, work)
  }

  flush(): void {
    this.#age++
    this.#waiting.clear()
    this.#ground.strike('redis-flush')
  }

  add(queue: string, id: string, job: Job): void {
    const { random } = this.#ground
    if (this.#waiting.has(id)) return
    this.#waiting.add(id)
    const age = this.#age
    const hand = () => {
      if (age !== this.#age || this.#ground.hit('redis-down')) return
      this.#waiting.delete(id)
      const able = [...this.#consumers].filter(([name]) => name.startsWith(`${queue} `))
      if (able.length > 0) random.pick(able)[1](job)
    }
    this.#ground.after(this.#ground.takes(1, 15), hand)
    // A job whose worker did not answer in time is handed out again.
    if (random.chance(0.03)) this.#ground.after(random.between(20, 500), hand)
  }
}
