import type { FleetLedger } from '@rekey/ledger'
import type { NodeRights } from './node-rights.ts'
import type { Sessions } from './sessions.ts'

const CELL = 100

/** Pushes desired states to the nodes that are connected here. The others get theirs when they connect. */
export class Delivery {
  readonly #ledger: Pick<FleetLedger, 'desiredStates'>
  readonly #sessions: Sessions
  readonly #rights: Pick<NodeRights, 'allow'>

  constructor(
    ledger: Pick<FleetLedger, 'desiredStates'>,
    sessions: Sessions,
    rights: Pick<NodeRights, 'allow'>,
  ) {
    this.#ledger = ledger
    this.#sessions = sessions
    this.#rights = rights
  }

  /** The job says whom to look at. What to send is read from the ledger, so that a late job sends nothing old. */
  async deliver(job: { effect: string; nodes?: string[] }): Promise<void> {
    const nodes = job.nodes ?? this.#connected()
    await this.#push(nodes.filter((node) => this.#sessions.get(node)))
  }

  /** A lost job delays, and no more: whoever was told less than the ledger knows is told now. */
  async reconcile(): Promise<void> {
    await this.#push(this.#connected())
  }

  #connected(): string[] {
    return this.#sessions.all().map((session) => session.node)
  }

  async #push(nodes: string[]): Promise<void> {
    for (let at = 0; at < nodes.length; at += CELL) {
      const states = await this.#ledger.desiredStates(nodes.slice(at, at + CELL))
      // Together: where Vault does not answer for one node, the others are told nevertheless.
      await Promise.all(
        [...states].map(async ([node, desired]) => {
          await this.#rights.allow(node, desired)
          this.#sessions.get(node)?.push(desired)
        }),
      )
    }
  }
}
