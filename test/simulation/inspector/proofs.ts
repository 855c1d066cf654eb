import type { LedgerAcks } from '../fleet.ts'
import type { ServingNode } from '../node.ts'
import type { World } from '../world.ts'
import { Violation } from './violation.ts'

type Reached = { at: number; revision: number; accept: number[]; life: number }

/** What nodes really reached, and when: what a proof stands for. */
export class Proofs {
  readonly #world: World
  readonly #reached = new Map<string, Reached[]>()

  constructor(world: World) {
    this.#world = world
    world.onReached = (node, credential, revision, accept) => this.#note(node, credential, revision, accept)
  }

  #note(node: ServingNode, credential: string, revision: number, accept: number[]): void {
    const key = `${node.name} ${credential}`
    const list = this.#reached.get(key) ?? []
    list.push({ at: this.#world.ground.now, revision, accept, life: node.agent.life })
    this.#reached.set(key, list)
    this.#world.ground.note('reached', node.name, credential, revision, accept)
  }

  /** Whether a node was, at or after some time, in a state that accepts a generation. */
  showed(node: string, credential: string, generation: number, since: number): boolean {
    const list = this.#reached.get(`${node} ${credential}`) ?? []
    return list.some((reached) => reached.at >= since && reached.accept.includes(generation))
  }

  /** I6: what an older session says changes nothing. */
  hear(acks: LedgerAcks): () => void {
    const { nodes, placements } = this.#world.ledger.tables
    const old = acks.filter((ack) => nodes.get(ack.node)?.session !== ack.session)
    const before = old.map((ack) => placements.get(`${ack.node} ${ack.credential}`))
    return () => {
      for (const [i, { node, credential, session }] of old.entries()) {
        // Another ack of the same batch may be of the session that counts.
        const isMixed = acks.some((a) => a.node === node && a.credential === credential && !old.includes(a))
        const after = placements.get(`${node} ${credential}`)
        if (!isMixed && after?.provedRevision !== before[i]?.provedRevision)
          throw new Violation(
            'I6',
            `an ack of session ${session} of ${node} counts, and that session is over`,
          )
      }
      this.#checkCounted()
    }
  }

  /** I6: what the ledger counts as proved was reached by the agent that holds the session which counts. */
  #checkCounted(): void {
    const { tables } = this.#world.ledger
    for (const node of this.#world.nodes) {
      const session = tables.nodes.get(node.name)?.session
      for (const credential of this.#world.places.keys()) {
        const row = tables.placements.get(`${node.name} ${credential}`)
        if (!row || row.provedRevision === 0 || session !== node.sessionNumber) continue
        const list = this.#reached.get(`${node.name} ${credential}`) ?? []
        const isTrue = list.some((r) => r.life === node.agent.life && r.revision === row.provedRevision)
        if (!isTrue)
          throw new Violation(
            'I6',
            `${node.name} counts as having proved revision ${row.provedRevision} of ${credential}, which it never did in session ${session}`,
          )
      }
    }
  }
}
