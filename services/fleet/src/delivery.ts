import type { FleetLedger } from '@rekey/ledger'
import type { Sessions } from './sessions.ts'

export type DeliveryOptions = {
  ledger: Pick<FleetLedger, 'desiredStates'>
  sessions: Sessions
  /** Tells the ledger that an effect's states are on their way. Acks alone say that they arrived. */
  completed?: (effect: string) => Promise<void>
}

const CELL = 100

/** Pushes desired states to the nodes that are connected here. The others get theirs when they connect. */
export class Delivery {
  readonly #options: DeliveryOptions

  constructor(options: DeliveryOptions) {
    this.#options = options
  }

  async deliver(job: { effect: string; nodes?: string[] }): Promise<void> {
    const { sessions, completed } = this.#options
    const nodes = job.nodes ?? sessions.all().map((s) => s.node)
    await this.#push(nodes.filter((node) => sessions.get(node)))
    await completed?.(job.effect)
  }

  /** A lost job delays, and no more: whoever was told less than the ledger knows is told now. */
  async reconcile(): Promise<void> {
    await this.#push(this.#options.sessions.all().map((s) => s.node))
  }

  async #push(nodes: string[]): Promise<void> {
    const { ledger, sessions } = this.#options
    for (let at = 0; at < nodes.length; at += CELL) {
      const states = await ledger.desiredStates(nodes.slice(at, at + CELL))
      for (const [node, desired] of states) sessions.get(node)?.push(desired)
    }
  }
}
