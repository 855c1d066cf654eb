import type { Verdict } from '@rekey/contracts'
import type { Effect, KnownWorkload, Plan, Rotation, Rule } from '@rekey/core'

export type CredentialRow = {
  name: string
  workload: string
  plan: Plan
  /** Given to each rotation: how long after its window's opening it starts. */
  jitterMs: number
  current: number | null
  last: number
  revision: number
  openRotation: string | null
  /** What each store shows by our last word. */
  shown: Record<string, string>
  movedAt: number | null
  isRetired: boolean
  /** Generations that are proved dead. */
  dead: number[]
  /** Why its routine rotations wait, until when by the ledger's clock. */
  paused: { until: number; by: string; reason: string } | null
}

export type EffectRow = {
  key: string
  rotation: string
  target: string | null
  epoch: number
  effect: Effect
  state: 'pending' | 'done' | 'failed' | 'cancelled'
  due: number
  attempt: number
  failures: number
  leaseUntil: number | null
  leaseBy: string | null
  relays: number
  relayedAt: number | null
  outcome: unknown
  /** Outcomes that came too late to decide anything. */
  late: { attempt: number; outcome: unknown }[]
}

export type NodeRow = {
  name: string
  workload: string
  state: 'live' | 'lost' | 'gone'
  session: number
  instance: string | null
  heardAt: number | null
  labels: Record<string, string>
}

export type Usage = {
  generation: number
  inFlight: number
  requests: number
  lastUsedAt: number | null
  failures?: number
  recent?: { requests: number; failures: number }
}

export type PlacementRow = {
  node: string
  credential: string
  revision: number
  accept: number[]
  refuse: number[]
  floor: number
  provedRevision: number
  proved: number[]
  usage: Usage[]
  reportedAt: number | null
  excusedUntil: number
  cacheMs?: number
  longestMs?: number
}

export type JoinTokenRow = { node: string; workload: string; expiresAt: number; isUsed: boolean }

export type RotationRow = { state: Rotation; credential: string }

export type JournalRow = {
  position: number
  stream: string
  seq: number
  type: string
  data: Record<string, unknown>
  actor: string
  /** Milliseconds. */
  at: number
}

export type AuditRow = {
  position: number
  sequence: number
  key: string
  bytes: string
  hash: string
  isSent: boolean
  isSettled: boolean
}

export type InboxRow = { digest: string; verdict: Verdict }

/**
 * Rows are replaced, never changed in place, so that a transaction that fails puts back what was there before, and
 * what somebody read stays as it was.
 */
export class Table<Row> {
  readonly #rows = new Map<string, Row>()
  readonly #undo: (() => void)[]
  /** An index: which rows are looked for again and again. */
  readonly #isHot: (row: Row) => boolean
  readonly #hot = new Set<string>()

  constructor(undo: (() => void)[], isHot: (row: Row) => boolean = () => false) {
    this.#undo = undo
    this.#isHot = isHot
  }

  get(key: string): Row | undefined {
    return this.#rows.get(key)
  }

  put(key: string, row: Row): void {
    const before = this.#rows.get(key)
    this.#undo.push(() => this.#set(key, before))
    this.#set(key, row)
  }

  #set(key: string, row: Row | undefined): void {
    if (row === undefined) this.#rows.delete(key)
    else this.#rows.set(key, row)
    if (row !== undefined && this.#isHot(row)) this.#hot.add(key)
    else this.#hot.delete(key)
  }

  all(): Iterable<Row> {
    return this.#rows.values()
  }

  entries(): Iterable<[string, Row]> {
    return this.#rows.entries()
  }

  *hot(): Iterable<Row> {
    for (const key of this.#hot) yield this.#rows.get(key) as Row
  }
}

/** The ledger's tables, and its clock. */
export class Tables {
  readonly clock: () => number
  readonly #undo: (() => void)[] = []
  readonly workloads = new Table<KnownWorkload>(this.#undo)
  readonly rules = new Table<Rule>(this.#undo)
  readonly credentials = new Table<CredentialRow>(this.#undo)
  readonly rotations = new Table<RotationRow>(this.#undo)
  /** Hot: still to be done, or held by somebody. */
  readonly effects = new Table<EffectRow>(
    this.#undo,
    (row) => row.state === 'pending' || row.leaseUntil !== null,
  )
  readonly nodes = new Table<NodeRow>(this.#undo)
  readonly placements = new Table<PlacementRow>(this.#undo)
  readonly joinTokens = new Table<JoinTokenRow>(this.#undo)
  readonly inbox = new Table<InboxRow>(this.#undo)
  readonly journal: JournalRow[] = []
  readonly audit: AuditRow[] = []
  #depth = 0
  /** Heard after each commit that wrote effects. */
  onEffects: () => void = () => undefined
  #woke = false

  constructor(clock: () => number) {
    this.clock = clock
  }

  /** All or nothing. One inside another is part of it. */
  transaction<T>(work: () => T): T {
    if (this.#depth > 0) return work()
    this.#depth = 1
    this.#undo.length = 0
    const { length } = this.journal
    try {
      return work()
    } catch (error) {
      while (this.#undo.length > 0) this.#undo.pop()?.()
      this.journal.length = length
      this.#woke = false
      throw error
    } finally {
      this.#depth = 0
      if (this.#woke) {
        this.#woke = false
        this.onEffects()
      }
    }
  }

  notifyEffects(): void {
    this.#woke = true
  }
}

export function placementKey(node: string, credential: string): string {
  return `${node} ${credential}`
}
