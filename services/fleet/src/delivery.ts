import type { FleetLedger } from '@rekey/ledger'
import type { NodeRights } from './node-rights.ts'
import type { Sessions } from './sessions.ts'

const CELL = 100
/** In an emergency, more at a time: what one cell answers is not checked before the next one is told. */
const URGENT_CELL = 1_000
/** So many are looked after at once, and the next ones the next time: lost jobs are rare, and looking at all of a large fleet costs. */
const LOOKED_AFTER = 2_000
/** How many urgent deliveries are remembered. */
const TOLD_MAX = 100

/** Pushes desired states to the nodes that are connected here. The others get theirs when they connect. */
export class Delivery {
  readonly #ledger: Pick<FleetLedger, 'desiredStates' | 'urgent'>
  readonly #sessions: Sessions
  readonly #rights: Pick<NodeRights, 'allow'>
  /** Urgent deliveries by their effects: whom of those connected here we told, or are telling. */
  readonly #told = new Map<string, Promise<ReadonlySet<string>>>()
  /** Those that were looked after last; before them in the order of names all were. */
  #lookedAfter = ''

  constructor(
    ledger: Pick<FleetLedger, 'desiredStates' | 'urgent'>,
    sessions: Sessions,
    rights: Pick<NodeRights, 'allow'>,
  ) {
    this.#ledger = ledger
    this.#sessions = sessions
    this.#rights = rights
  }

  /** The job says whom to look at. What to send is read from the ledger, so that a late job sends nothing old. */
  async deliver(job: { effect: string; nodes?: string[] }): Promise<void> {
    const told = await this.#told.get(job.effect)
    await this.#push((job.nodes ?? this.#connected()).filter((node) => !told?.has(node)))
  }

  /**
   * Tells nodes of emergencies without waiting for a wake-up, which comes all the same, by way of the conductor and the
   * queue, and finds nothing left to say.
   */
  async hurry(): Promise<void> {
    for (const { effect, nodes } of await this.#ledger.urgent()) {
      if (this.#told.has(effect)) continue
      const telling = this.#push(nodes, URGENT_CELL)
      this.#told.set(
        effect,
        telling.catch(() => new Set<string>()),
      )
      const [oldest] = this.#told.keys()
      if (this.#told.size > TOLD_MAX && oldest !== undefined) this.#told.delete(oldest)
      await telling
    }
  }

  /** A lost job delays, and no more: whoever was told less than the ledger knows is told now, or in one of the next rounds. */
  async reconcile(): Promise<void> {
    const all = this.#connected()
    if (all.length <= LOOKED_AFTER) return void (await this.#push(all))
    const ordered = all.sort()
    const at = ordered.findIndex((node) => node > this.#lookedAfter)
    const nodes = ordered.slice(Math.max(0, at), Math.max(0, at) + LOOKED_AFTER)
    await this.#push(nodes)
    this.#lookedAfter = nodes.at(-1) ?? ''
  }

  #connected(): string[] {
    return this.#sessions.all().map((session) => session.node)
  }

  /** Returns those that are connected here. */
  async #push(wanted: string[], cell = CELL): Promise<ReadonlySet<string>> {
    const nodes = wanted.filter((node) => this.#sessions.get(node))
    for (let at = 0; at < nodes.length; at += cell) {
      const states = await this.#ledger.desiredStates(nodes.slice(at, at + cell))
      // Together: where Vault does not answer for one node, the others are told nevertheless.
      await Promise.all(
        [...states].map(async ([node, desired]) => {
          await this.#rights.allow(node, desired)
          this.#sessions.get(node)?.push(desired)
        }),
      )
    }
    return new Set(nodes)
  }
}
