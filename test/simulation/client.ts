import type { Ground } from './ground.ts'
import type { Shown } from './servers/kv-server.ts'

export type ReaderServer = {
  name: string
  shown: (credential: string) => { shown: Shown | undefined; ageMs: number }
}

/** A reader of a store without an agent. It keeps a value no longer than it declares, counted from when it was shown. */
export class Client {
  readonly credential: string
  readonly name: string
  readonly store: string
  #cached: { shown: Shown; until: number } | undefined
  readonly #ground: Ground
  readonly #server: ReaderServer
  readonly #cacheMs: number
  /** When it last had nothing to present. */
  emptyAt = Number.NEGATIVE_INFINITY
  /** Grows when it presents something else. */
  changes = 0

  constructor(
    ground: Ground,
    about: { name: string; credential: string; server: ReaderServer; cacheMs: number },
  ) {
    this.#ground = ground
    this.name = about.name
    this.credential = about.credential
    this.store = about.server.name
    this.#server = about.server
    this.#cacheMs = about.cacheMs
    this.#refresh()
  }

  /** What it presents now. */
  get presents(): Shown | undefined {
    return this.#cached && this.#ground.now < this.#cached.until ? this.#cached.shown : undefined
  }

  #refresh(): void {
    const { random } = this.#ground
    if (!this.presents) this.emptyAt = this.#ground.now
    const isAway = this.#ground.hit('down', (fault) => fault.server === this.store)
    if (!isAway) {
      const { shown, ageMs } = this.#server.shown(this.credential)
      const until = this.#ground.now - ageMs + this.#cacheMs
      // A stale answer may be too old to be used at all.
      if (!shown) this.#cached = undefined
      else if (until > this.#ground.now) this.#cached = { shown, until }
      this.changes++
    }
    const soonest = Math.round(this.#cacheMs * 0.2)
    this.#ground.after(random.between(soonest, Math.round(this.#cacheMs * 0.95)) + 1, () => this.#refresh())
  }
}
