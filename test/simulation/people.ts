import { RekeyError } from '@rekey/contracts'
import type { Asked, Rotation } from '@rekey/core'
import type { Ground } from './ground.ts'
import type { SimLedger } from './ledger.ts'
import type { ServingNode } from './node.ts'
import type { About, Order } from './orders.ts'

const LOOK_MS = 4_000

export type Seen = { rotation: Rotation | undefined; current: number | null; isPaused: boolean }

export type PeopleOptions = {
  ground: Ground
  ledger: SimLedger
  nodes: ServingNode[]
  credentials: string[]
  /** What they see of a credential when they look. */
  see: (credential: string) => Seen
  /** It waits for a node, and there is none. */
  isAlone: (credential: string) => boolean
  /** Its consumers go away, or come back. */
  onRetired: (credential: string, isRetired: boolean) => void
}

/** Operators: orders at any time, and after the storm somebody who looks at what is held. */
export class People {
  readonly #options: PeopleOptions

  constructor(options: PeopleOptions) {
    this.#options = options
    options.ground.agenda.at(options.ground.healsAt, () => this.#tend())
  }

  async perform(order: Order): Promise<void> {
    const { ground } = this.#options
    ground.note('order', order)
    const met = this.#pauseMoment(order)
    try {
      await this.#order(order)
      met?.()
    } catch (error) {
      if (!RekeyError.is(error)) throw error
      ground.note('refused', error.message)
    }
  }

  async #order(order: Order): Promise<void> {
    const { ledger, see, nodes, onRetired } = this.#options
    const { rotation, current } = see(order.credential)
    const start = (asked: Partial<Asked> & { alreadyDead?: boolean }) =>
      ledger.start(order.credential, {
        cause: { kind: 'order', actor: 'anna', reason: order.kind },
        goal: 'replace',
        mode: 'rotate',
        compromised: [],
        ...asked,
      })
    const tell = async (type: 'RollbackAsked' | 'HoldAsked' | 'ResumeAsked') => {
      if (!rotation) return 'no rotation is open'
      const { refusal } = await ledger.submit(rotation.id, { type, actor: 'anna', reason: 'asked' }, 'anna')
      if (refusal !== undefined) this.#options.ground.note('refused', refusal)
      return refusal
    }
    switch (order.kind) {
      case 'rotate':
        await start({})
        return
      case 'retire':
        await start({ goal: 'retire' })
        onRetired(order.credential, true)
        return
      case 'already-dead':
        // Only said where it is so: the authority ended it, and nothing is under way.
        if (!rotation && current !== null) await start({ mode: 'expedite', alreadyDead: true })
        return
      case 'expedite':
      case 'contain':
        await start({ mode: order.kind, compromised: which(order.about, rotation, current) })
        return
      case 'rollback':
        if ((await tell('RollbackAsked')) === undefined && rotation?.goal === 'retire')
          onRetired(order.credential, false)
        return
      case 'hold':
        await tell('HoldAsked')
        return
      case 'resume':
        await tell('ResumeAsked')
        return
      case 'excuse': {
        const node = nodes[order.node]
        if (node) await ledger.excuse(node.name, { actor: 'anna', reason: 'being repaired', forMs: order.ms })
        return
      }
      case 'pause': {
        const said = { actor: 'anna', reason: 'launch day', forMs: order.ms }
        await ledger.pause(order.all ? undefined : order.credential, said)
        return
      }
      case 'end-pause':
        await ledger.endPause(order.all ? undefined : order.credential, { actor: 'anna', reason: 'launched' })
        return
      default:
        return order satisfies never
    }
  }

  /** What this order is to a pause, for the table of what met what: said where the rotation is before it. */
  #pauseMoment({ kind, credential }: Order): (() => void) | undefined {
    const { ground, see } = this.#options
    const { rotation, isPaused } = see(credential)
    if (rotation?.mode !== 'rotate') return undefined
    if (kind === 'pause') return ground.onPause('paused', credential)
    if (!isPaused) return undefined
    if (kind === 'end-pause') return ground.onPause('pause ended', credential)
    if (kind === 'rotate' || kind === 'retire') return ground.onPause('routine in pause', credential)
    if (kind === 'expedite' || kind === 'contain') return ground.onPause('emergency in pause', credential)
    return undefined
  }

  /** A host that will not come back is declared gone, sooner or later. */
  declareGone(node: ServingNode): void {
    const { ground, ledger } = this.#options
    ground.after(ground.random.between(2_000, 12_000), async () => {
      node.isGone = true
      await ledger.declareGone(node.name, 'anna', 'its host is gone').catch(() => undefined)
    })
  }

  /** Looks at every rotation that is open, and acts on what is held. */
  async #tend(): Promise<void> {
    const { ground, credentials, see, isAlone, ledger } = this.#options
    ground.after(LOOK_MS, () => this.#tend())
    for (const credential of credentials) {
      const { rotation } = see(credential)
      if (!rotation || rotation.holds.length === 0 || isAlone(credential)) continue
      // A pause ends by itself.
      if (rotation.holds.some((h) => h.reason === 'human' && h.until !== undefined)) continue
      const isStuck = rotation.holds.some((h) => h.reason === 'no_slot')
      if (isStuck) {
        const back = { type: 'RollbackAsked', actor: 'anna', reason: 'no slot' } as const
        const { refusal } = await ledger.submit(rotation.id, back, 'anna')
        // What leaked cannot be gone back to: with one slot the old one must end before the new one can begin.
        if (refusal !== undefined)
          await this.perform({ at: ground.now, credential, kind: 'contain', about: 'base' })
        continue
      }
      // A node that came up while its only value is suspended serves nothing, and has nothing to report.
      const isMute = rotation.holds.some((h) => /reported (no )?counters/.test(h.detail))
      if (isMute) await this.#excuseSilent(credential)
      ground.note('resumes', rotation.id, rotation.holds)
      await ledger.submit(rotation.id, { type: 'ResumeAsked', actor: 'anna', reason: 'seen to' }, 'anna')
    }
  }

  async #excuseSilent(credential: string): Promise<void> {
    const { nodes, ledger } = this.#options
    for (const node of nodes)
      if (!node.isDown && !node.keepers.get(credential)?.gateway)
        await ledger.excuse(node.name, { credential, actor: 'anna', reason: 'serves nothing', forMs: 30_000 })
  }
}

function which(about: About, rotation: Rotation | undefined, current: number | null): number[] {
  const base = rotation ? rotation.base : current
  const successor = rotation?.successor?.generation ?? null
  const retiring = rotation?.retirements.find((r) => r.step !== 'dead')?.generation ?? null
  const wanted: Record<About, (number | null)[]> = {
    unsaid: [],
    base: [base],
    successor: [successor],
    both: [base, successor],
    retiring: [retiring],
  }
  return wanted[about].filter((g) => g !== null)
}
