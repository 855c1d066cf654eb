/**
 * What one store's readers get, as the store itself says. Null: nothing. `storeVersion` is what the next promotion
 * replaces: where readers find nothing, there may be a version that says so.
 */
export type FoundStore = { store: string; current: number | null; storeVersion: string | null }

/** One generation that is in a store, current or not. */
export type FoundGeneration = {
  generation: number
  keyId: string
  /** The public key that its value yields, by which nodes prove it. */
  proofKey: string
  stores: string[]
  /**
   * What the endpoints said to its value. `refused`: at least one refuses it, so its revocation has begun, or it never
   * came so far. `untried`: no store that the prober reads holds it. `unknown`: nothing can be said yet.
   */
  tried: 'accepted' | 'refused' | 'untried' | 'unknown'
}

/** What there is of a credential outside, whatever the ledger believes. */
export type Found = { stores: FoundStore[]; generations: FoundGeneration[] }

/**
 *  agrees   every store shows what the ledger believes to be current
 *  newer    every store shows one other generation: the stores moved on after the backup
 *  differs  the stores do not show the same: a rotation was under way
 *  nothing  no store shows anything, and the ledger believes that one is current
 */
export type FoundVerdict = 'agrees' | 'newer' | 'differs' | 'nothing'

export function verdictOf({ stores }: Found, believed: number | null): FoundVerdict {
  const [shown = null, ...others] = new Set(stores.map((s) => s.current))
  if (others.length > 0) return 'differs'
  if (shown === believed) return 'agrees'
  return shown === null ? 'nothing' : 'newer'
}

/** What every store shows, if they show the same. */
function shownByAll({ stores }: Found): number | null {
  const [shown = null, ...others] = new Set(stores.map((s) => s.current))
  return others.length > 0 ? null : shown
}

/** Nothing more is to be learnt by looking again. What every store shows stays in use, whether or not it was tried. */
export function isWhole(found: Found): boolean {
  const shown = shownByAll(found)
  return found.generations.every((g) => g.generation === shown || g.tried !== 'unknown')
}

export type Settlement = {
  /** What becomes current; null: the credential has no value. */
  current: FoundGeneration | null
  /** Stores that show it already, and their versions of it. */
  shownBy: Map<string, string>
  /** Everything else that is still in a store, and must die by evidence. */
  others: FoundGeneration[]
}

/** What a human's release makes of it, or why it cannot be released so. `chosen`: the human says what is current. */
export function settleFound(
  found: Found,
  believed: number | null,
  chosen?: number,
): Settlement | { refusal: string } {
  const verdict = verdictOf(found, believed)
  const shown = [...new Set(found.stores.flatMap((s) => s.current ?? []))]
  const alive = found.generations.map((g) => g.generation)
  const choice = alive.length > 0 ? `choose one of ${alive.join(', ')} with --generation` : undefined
  if (!isWhole(found))
    return { refusal: 'not every endpoint has answered yet whether it accepts what was found' }
  if (chosen === undefined) {
    if (verdict === 'differs') return { refusal: `the stores do not show the same; ${choice}` }
    if (verdict === 'nothing')
      return {
        refusal: `no store shows a value; ${choice ?? 'if it was offboarded since, release it with --ended'}`,
      }
    if (shown.length === 0) return { current: null, shownBy: new Map(), others: found.generations }
  }
  const wanted = chosen ?? shown[0]
  const current = found.generations.find((g) => g.generation === wanted)
  if (!current) return { refusal: `no store holds generation ${wanted}${choice ? `; ${choice}` : ''}` }
  const shownBy = new Map(
    found.stores.flatMap((s) => (s.current === wanted ? [[s.store, s.storeVersion ?? '']] : [])),
  )
  if (shownBy.size < found.stores.length) {
    // Clients of the other stores are about to be moved to it.
    const lacking = found.stores.filter((s) => !current.stores.includes(s.store)).map((s) => s.store)
    if (lacking.length > 0) return { refusal: `generation ${wanted} is not in ${lacking.join(', ')}` }
    if (current.tried !== 'accepted')
      return {
        refusal: `generation ${wanted} is not accepted at every endpoint, and clients would be moved to it`,
      }
  }
  return { current, shownBy, others: found.generations.filter((g) => g !== current) }
}
