import { Stopped } from './stopped.ts'

type Order = { revision: number; accept: number[] }

export type ReplayedNode = {
  runs: boolean
  lost: boolean
  excused: boolean
  /** It came back after it was excused: from then on it must keep the promises again. */
  returned: boolean
  /** What it applied. */
  order: Order
  /** What it was told and has not applied, oldest first. */
  told: Order[]
  /** What it proved in this session. */
  proof: Order | undefined
}

const NOTHING: Order = { revision: 0, accept: [] }

/** The nodes of a replay: what each was told, applied and proved. */
export class Nodes {
  readonly #all = new Map<string, ReplayedNode>()

  constructor(count: number) {
    for (let i = 0; i < count; i++) this.#all.set(`n${i}`, fresh({ revision: 1, accept: [1] }))
  }

  [Symbol.iterator](): Iterator<[string, ReplayedNode]> {
    return this.#all.entries()
  }

  get(name: string): ReplayedNode {
    const node = this.#all.get(name)
    if (!node) throw new Stopped(`${name} is not there`)
    return node
  }

  join(name: string): void {
    this.#all.set(name, { ...fresh(NOTHING), runs: false, proof: undefined })
  }

  leave(name: string): void {
    this.#all.delete(name)
  }

  /** It comes up with what it found in a store. */
  boot(name: string, generation: number): void {
    Object.assign(this.get(name), { runs: true, order: { revision: 0, accept: [generation] } })
  }

  /** Its memory is lost, and so is its session. */
  turnOff(name: string): void {
    Object.assign(this.get(name), { runs: false, lost: true, told: [], order: NOTHING })
  }

  drop(name: string): void {
    Object.assign(this.get(name), { lost: true, told: [] })
  }

  /** A session begins with a fresh read of the ledger, and nothing is proved in it yet. */
  connect(name: string, order: Order): void {
    const node = this.get(name)
    Object.assign(node, { lost: false, returned: node.excused, proof: undefined, told: [order] })
  }

  /** A wave begins; who has no session hears of it later. */
  order(names: readonly string[], order: Order): void {
    for (const name of names) {
      const node = this.#all.get(name)
      if (node && !node.lost) node.told.push(order)
    }
  }

  /** The latest order, or an earlier one that is still on its way; an older one than it has is ignored. */
  tell(name: string, late: boolean): void {
    const node = this.get(name)
    if (node.lost) throw new Stopped(`${name} has no session`)
    const order = late ? node.told.at(-2) : node.told.at(-1)
    // The core has not told it yet, where the model has.
    if (!order) return
    if (!node.runs || order.revision > node.order.revision) Object.assign(node, { order, runs: true })
    node.told = node.told.filter((o) => o.revision > order.revision)
  }
}

function fresh(order: Order): ReplayedNode {
  return { runs: true, lost: false, excused: false, returned: false, order, told: [], proof: order }
}
