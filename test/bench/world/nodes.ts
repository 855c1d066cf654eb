import type { DesiredState, UsageMessage } from '@rekey/contracts'
import type { Ledger, VerifiedAck } from '@rekey/ledger'
import { startWorker } from '@rekey/queues'
import type { Logger } from '@rekey/runtime'
import { Batch } from './batch.ts'

/** As the services have them by default. */
const CELL = 100
const USAGE_MS = 1_000
const HEARTBEAT_MS = 5_000
const RECONCILE_MS = 2_000
const LEASE_MS = 5_000
const INSTANCE = 'bench'

export type NodesOptions = {
  ledger: Ledger
  redisUrl: string
  logger: Logger
  /** Told before the nodes say so to the ledger. */
  onRefused: (keyIds: string[]) => void
}

/**
 * A fleet instance and its nodes, without the channel and the signatures between them: each node does at once what it
 * is told. All that `fleet` asks of the ledger is asked here, as often.
 */
export class Nodes {
  readonly #options: NodesOptions
  readonly #sessions = new Map<string, number>()
  /** What each node holds: node → credential → its desired state. */
  readonly #holds = new Map<string, Map<string, DesiredState>>()
  readonly #acks: Batch<VerifiedAck>
  readonly #usage: Batch<UsageMessage & { node: string }>
  readonly #worker: ReturnType<typeof startWorker>
  readonly #timers: NodeJS.Timeout[]
  #failed: unknown
  /** Batches of usage reports that could not be written. */
  lostReports = 0

  constructor(options: NodesOptions) {
    const { ledger, redisUrl, logger } = options
    this.#options = options
    this.#acks = new Batch({
      retryMs: [100, 400, 1_000],
      onLost: (error) => {
        this.#failed ??= error
      },
      flushMs: 20,
      itemsMax: 100,
      write: (acks) => ledger.fleet.recordAcks(acks),
    })
    this.#usage = new Batch({
      retryMs: [],
      onLost: () => {
        this.lostReports++
      },
      flushMs: 250,
      itemsMax: 500,
      write: (reports) => ledger.fleet.recordUsage(reports),
    })
    this.#worker = startWorker({
      redisUrl,
      queue: `fleet-${INSTANCE}`,
      concurrency: 4,
      reserved: 2,
      handler: (job) => this.#push(job.nodes ?? []),
      direct: {
        look: (wanted) => ledger.unattended({ ...wanted, worker: 'fleet' }),
        take: (key) => this.#takeDirectly(key),
        onNews: ledger.onEffects,
      },
      logger,
    })
    this.#timers = [
      this.#every(USAGE_MS, async () => this.#report()),
      this.#every(HEARTBEAT_MS, () =>
        ledger.fleet.heard([...this.#sessions].map(([node, session]) => ({ node, session }))),
      ),
      this.#every(RECONCILE_MS, () => this.#push([...this.#sessions.keys()])),
    ]
  }

  /** Enrols a node and opens its session. */
  async join(node: string, workload: string): Promise<void> {
    const { ledger } = this.#options
    const { token } = await ledger.createJoinToken({ node, workload, ttlMs: 60_000, actor: 'bench' })
    await ledger.fleet.redeemJoinToken(node, token)
    const { session, desired } = await ledger.fleet.openSession({ node, boot: 'b', instance: INSTANCE })
    this.#sessions.set(node, session)
    this.#obey(node, desired)
  }

  /** Throws what went wrong meanwhile. */
  check(): void {
    if (this.#failed) throw this.#failed
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    await this.#worker.close()
    await Promise.all([this.#acks.flush(), this.#usage.flush()])
  }

  async #takeDirectly(key: string): Promise<void> {
    const { ledger } = this.#options
    const leased = await ledger.lease(key, `fleet/${INSTANCE}`, LEASE_MS)
    if (leased?.effect.kind !== 'deliver') return
    await this.#push(leased.effect.nodes)
    await ledger.complete(leased, { kind: 'deliver' }, `fleet/${INSTANCE}`)
  }

  async #push(nodes: string[]): Promise<void> {
    for (let at = 0; at < nodes.length; at += CELL) {
      const states = await this.#options.ledger.fleet.desiredStates(nodes.slice(at, at + CELL))
      for (const [node, desired] of states) this.#obey(node, desired)
    }
  }

  #obey(node: string, desired: DesiredState[]): void {
    const session = this.#sessions.get(node)
    if (session === undefined) return
    const held = this.#holds.get(node) ?? new Map<string, DesiredState>()
    this.#holds.set(node, held)
    for (const state of desired) {
      const { credential, revision, accept, refuse } = state
      if ((held.get(credential)?.revision ?? -1) >= revision) continue
      held.set(credential, state)
      if (refuse.length > 0) this.#options.onRefused(refuse.map((g) => `${credential}.g${g}`))
      const proved = accept.map((a) => a.generation)
      const refusals = refuse.map((generation) => ({ generation, tried: 'refused' as const }))
      this.#acks.add({ node, session, credential, revision, proved, refusals })
    }
  }

  #report(): void {
    for (const [node, held] of this.#holds)
      for (const { credential, accept } of held.values())
        this.#usage.add({
          type: 'usage',
          node,
          session: this.#sessions.get(node) ?? 0,
          credential,
          generations: accept.map(({ generation }) => ({
            generation,
            inFlight: 0,
            lastUseAgeMs: null,
            requests: 0,
          })),
        })
  }

  #every(ms: number, task: () => Promise<void>): NodeJS.Timeout {
    let isBusy = false
    return setInterval(() => {
      if (isBusy) return
      isBusy = true
      task()
        .catch((error: unknown) => {
          this.#failed ??= error
        })
        .finally(() => {
          isBusy = false
        })
    }, ms)
  }
}
