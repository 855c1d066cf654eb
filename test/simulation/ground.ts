import type { EffectKind } from '@rekey/core'
import { Agenda, type Item } from './agenda.ts'
import type { ActPoint, Fault, FaultKind, Step, When } from './faults.ts'
import { Random } from './random.ts'

export type Noted = { at: number; what: string; about: unknown[] }

/** What people do about a pause, and what they ask for in one. */
export const PAUSE_MOMENTS = ['paused', 'routine in pause', 'emergency in pause', 'pause ended'] as const
export type PauseMoment = (typeof PAUSE_MOMENTS)[number]

type Planned = { when: When; run: () => void | Promise<void>; about: string | undefined }

type ActFault = Extract<Fault, { kind: 'crash' | 'pause' }>

const isActFault = (fault: Fault): fault is ActFault => fault.kind === 'crash' || fault.kind === 'pause'

/** What every part of a world stands on: time, chance, what is broken now, and what is written down. */
export class Ground {
  readonly agenda = new Agenda()
  readonly random: Random
  /** Faults whose time it is. */
  #active: Fault[] = []
  /** Faults of acts that did not strike yet, with how often their moment has come. */
  readonly #armed: { fault: ActFault; seen: number }[]
  #ledgerAhead = 0
  /** When the ledger's clock jumped last. */
  jumpedAt = Number.NEGATIVE_INFINITY
  /** The last of what happened, or all of it. */
  readonly noted: Noted[] = []
  readonly keepAll: boolean
  /** Ledger calls that a real database has not answered yet. */
  busy = 0
  /** Told when a fault strikes, for the table of what met what. */
  onStrike: (fault: FaultKind, effect?: EffectKind, point?: ActPoint) => void = () => undefined
  /** What people do to a pause, and in one; what it returns is called when it was taken. */
  onPause: (moment: PauseMoment, credential: string) => () => void = () => () => undefined
  healsAt: number
  readonly #pace: number

  constructor(
    seed: number,
    { healsAt, faults, pace }: { healsAt: number; faults: Fault[]; pace: number },
    keepAll: boolean,
  ) {
    this.#pace = pace

    this.random = new Random(seed)
    this.healsAt = healsAt
    this.keepAll = keepAll
    this.#armed = faults.filter(isActFault).map((fault) => ({ fault, seen: 0 }))
    for (const fault of faults.filter((f) => !isActFault(f))) this.#plan(fault)
  }

  get now(): number {
    return this.agenda.now
  }

  /** The ledger's clock: it may have jumped. */
  get ledgerNow(): number {
    return this.agenda.now + this.#ledgerAhead
  }

  get isHealed(): boolean {
    return this.now >= this.healsAt
  }

  /** How long something takes that takes from `from` to `to` where all is quick. */
  takes(from: number, to: number): number {
    return this.random.between(from, to * this.#pace)
  }

  after(ms: number, run: Item['run']): Item {
    return this.agenda.after(ms, run)
  }

  note(what: string, ...about: unknown[]): void {
    this.noted.push({ at: this.now, what, about })
    if (!this.keepAll && this.noted.length > 400) this.noted.splice(0, 300)
  }

  /** What waits for a rotation to come to a step. */
  #waiting: Planned[] = []

  /** Does something at its time. `about`: only this credential's rotation is watched. */
  plan(when: When, run: () => void | Promise<void>, about?: string): void {
    this.agenda.at(when.at, () => {
      if (when.on === undefined) return run()
      this.#waiting.push({ when, run, about })
    })
  }

  /** A rotation came to a step, or is there still. */
  reached(credential: string, step: Step): void {
    if (this.#waiting.length === 0) return
    const isIt = (w: Planned) => w.when.on === step && (w.about ?? credential) === credential
    const due = this.#waiting.filter(isIt)
    if (due.length === 0) return
    this.#waiting = this.#waiting.filter((w) => !isIt(w))
    for (const { when, run } of due)
      this.agenda.after(when.plus ?? 0, () => (this.isHealed ? undefined : run()))
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0
  }

  #plan(fault: Fault): void {
    this.plan(fault, () => {
      this.note('fault begins', fault)
      if (fault.kind === 'clock-jump') {
        this.#ledgerAhead += fault.ms
        this.jumpedAt = this.now
        this.strike('clock-jump')
        return
      }
      this.#active.push(fault)
      this.onBegin(fault)
      this.agenda.after(Math.min(fault.ms, this.healsAt - this.now), () => {
        this.#active = this.#active.filter((f) => f !== fault)
        this.note('fault ends', fault.kind)
      })
    })
  }

  /** Told when a fault's time begins, for those that are an event of their own. */
  onBegin: (fault: Fault) => void = () => undefined

  /** The fault of this kind that is on now for whom `isAbout` says; it counts as met. */
  hit<K extends FaultKind>(
    kind: K,
    isAbout: (fault: Fault & { kind: K }) => boolean = () => true,
    effect?: EffectKind,
  ): (Fault & { kind: K }) | undefined {
    if (this.#active.length === 0) return undefined
    const found = this.#active.find(
      (f): f is Fault & { kind: K } => f.kind === kind && isAbout(f as Fault & { kind: K }),
    )
    if (found) this.strike(kind, effect)
    return found
  }

  strike(kind: FaultKind, effect?: EffectKind, point?: ActPoint): void {
    this.onStrike(kind, effect, point)
  }

  /** Whether a worker is killed or stopped at this moment of this act. */
  strikeAct(effect: EffectKind, point: ActFault['point']): ActFault | undefined {
    if (this.#armed.length === 0 || this.isHealed) return undefined
    for (const [i, one] of this.#armed.entries()) {
      const { fault } = one
      if (fault.effect !== effect || fault.point !== point || this.now < fault.at) continue
      if (++one.seen < fault.nth) continue
      this.#armed.splice(i, 1)
      this.note('fault', fault)
      this.strike(fault.kind, effect, point)
      return fault
    }
    return undefined
  }

  /** Lets everything run that can run now without time passing. */
  async settle(): Promise<void> {
    do {
      await new Promise<void>((resolve) => setImmediate(resolve))
    } while (this.busy > 0)
  }
}
