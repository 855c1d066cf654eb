import { type Authority, type ProbeResult, RekeyError, Secret, type StoredValue } from '@rekey/contracts'
import type { Ground } from '../ground.ts'
import type { Shown } from './kv-server.ts'
import type { AnyWay } from './way.ts'

type Slot = { text: string; state: 'active' | 'suspended' | 'revoked'; lagsUntil: number }

/** The verifier of one outbound credential: what it accepts, and for how long it goes on after a revocation. */
export class AuthorityServer {
  readonly #ground: Ground
  readonly #slots = new Map<number, Slot>()
  readonly about: { slots: number; isFenced: boolean; isLimited: boolean; lagMs: number }
  changes = 0
  #lagsUntil = -1

  constructor(ground: Ground, about: AuthorityServer['about']) {
    this.#ground = ground
    this.about = about
  }

  accepts({ generation, text }: Shown): boolean {
    const slot = this.#slots.get(generation)
    if (slot?.text !== text) return false
    return slot.state === 'active' || (slot.state === 'revoked' && this.#ground.now < slot.lagsUntil)
  }

  state(generation: number): Slot['state'] | undefined {
    return this.#slots.get(generation)?.state
  }

  /** Whoever has the value gets in. */
  isStillAccepting(generation: number): boolean {
    const slot = this.#slots.get(generation)
    return slot !== undefined && this.accepts({ generation, text: slot.text })
  }

  /** It still accepts something that was revoked, and will not for long. */
  get isLagging(): boolean {
    return this.#ground.now <= this.#lagsUntil
  }

  /** How many generations take up a slot. */
  get used(): number {
    return [...this.#slots.values()].filter((slot) => slot.state !== 'revoked').length
  }

  install({ generation, value }: StoredValue): void {
    const text = value.reveal()
    const slot = this.#slots.get(generation)
    if (slot && slot.text !== text) throw new RekeyError('foreign_writer', 'the slot holds another value')
    if (slot?.state === 'active') return
    if (slot?.state === 'revoked' && this.about.isFenced)
      throw new RekeyError('not_allowed_now', `generation ${generation} was revoked, once and for all`)
    if (this.about.isLimited && slot?.state !== 'suspended' && this.used >= this.about.slots)
      throw new RekeyError('not_allowed_now', 'no free slot')
    this.#set(generation, { text, state: 'active', lagsUntil: 0 })
  }

  suspend(generation: number): void {
    const slot = this.#slots.get(generation)
    if (slot?.state === 'active') this.#set(generation, { ...slot, state: 'suspended' })
  }

  reinstate(generation: number): void {
    const slot = this.#slots.get(generation)
    if (slot?.state === 'suspended') this.#set(generation, { ...slot, state: 'active' })
  }

  revoke(generation: number): void {
    const slot = this.#slots.get(generation)
    if (!slot) {
      // Nothing may come to life under this number any more.
      if (this.about.isFenced) this.#set(generation, { text: '', state: 'revoked', lagsUntil: 0 })
      return
    }
    if (slot.state === 'revoked') return
    const extra = this.#ground.hit('provider-lag') ? 3_000 : 0
    const lagsUntil = this.#ground.now + this.about.lagMs + extra
    this.#lagsUntil = Math.max(this.#lagsUntil, lagsUntil)
    this.#set(generation, { ...slot, state: 'revoked', lagsUntil })
  }

  #set(generation: number, slot: Slot): void {
    this.changes++
    this.#slots.set(generation, slot)
  }

  /** The authority as one worker reaches it for one act. */
  client(way: AnyWay, make: () => string): Authority {
    return {
      kind: 'simulated',
      direction: 'outbound',
      slots: this.about.slots,
      valueFrom: 'us',
      make: () => Secret.of(make()),
      install: (value, call) => way.write(call, `install ${value.generation}`, () => this.install(value)),
      suspend: (generation, call) => way.write(call, `suspend ${generation}`, () => this.suspend(generation)),
      reinstate: (generation, call) =>
        way.write(call, `reinstate ${generation}`, () => this.reinstate(generation)),
      revoke: (generation, call) => way.write(call, `revoke ${generation}`, () => this.revoke(generation)),
      probe: (value, call) =>
        way
          .read(call, (): ProbeResult[] => {
            const isIn = [...this.#slots.keys()].some((generation) =>
              this.accepts({ generation, text: value.reveal() }),
            )
            return [
              { endpoint: 'authority', verdict: isIn ? 'accepted' : 'refused', seen: isIn ? '200' : '401' },
            ]
          })
          .catch((): ProbeResult[] => [{ endpoint: 'authority', verdict: 'unknown', seen: 'no answer' }]),
    }
  }
}
