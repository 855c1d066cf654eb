import { randomUUID } from 'node:crypto'
import type { Server } from 'node:net'
import { PROTOCOL } from '@rekey/contracts'
import { makeAdapter } from './adapters/registry.ts'
import type { AgentConfig } from './config.ts'
import { FleetLink } from './fleet-link.ts'
import { Graveyard, graveyardFile } from './graveyard.ts'
import { type Identity, identityFiles } from './identity.ts'
import { fileJournal } from './journal.ts'
import { CredentialKeeper } from './keeper.ts'
import type { Log } from './log.ts'
import { Renewal, renewalLookMs } from './renewal.ts'
import { type AgentStatus, serveStatus } from './status-socket.ts'
import { UsageReporter } from './usage-reporter.ts'
import type { ValueSource } from './value-source.ts'

export const AGENT_VERSION = '0.1.0'

/** One running agent: a keeper for each credential, and the link to the fleet that gives them orders. */
export class Agent {
  readonly #config: AgentConfig
  readonly #renewal: Renewal
  readonly #log: Log
  readonly #keepers: Map<string, CredentialKeeper>
  readonly #link: FleetLink
  readonly #timers: NodeJS.Timeout[] = []
  #status: Server | undefined

  constructor(config: AgentConfig, identity: Identity, values: ValueSource, log: Log) {
    this.#config = config
    this.#renewal = new Renewal({ identity, files: identityFiles(config.stateDir), log })
    this.#log = log
    // A new boot for each process: its memory starts empty, and a proof of the one before must not count for it.
    const boot = randomUUID()
    this.#keepers = new Map(
      config.adapters.map((adapterConfig) => {
        const { credential } = adapterConfig
        const adapter = makeAdapter(adapterConfig)
        const file = graveyardFile(config.stateDir, credential)
        const keeper = new CredentialKeeper({
          credential,
          adapter,
          values,
          journal: fileJournal(config.stateDir, credential),
          graveyard: new Graveyard({ credential, adapter, file, log }),
          spiffeId: identity.spiffeId,
          boot,
          log,
        })
        return [credential, keeper] as const
      }),
    )
    this.#link = new FleetLink({
      url: config.fleet.url,
      node: config.node,
      identity: () => this.#renewal.identity,
      hello: {
        type: 'hello',
        boot,
        agentVersion: AGENT_VERSION,
        protocol: PROTOCOL,
        ...(config.labels && { labels: config.labels }),
        adapters: [...this.#keepers.values()].map(({ credential, adapter }) => ({
          credential,
          kind: adapter.kind,
          disruption: adapter.disruption,
          buries: adapter.bury !== undefined,
          ...config.lifetimes?.[credential],
        })),
      },
      log,
      onRenewed: (renewed) => void this.#renewal.take(renewed),
      onDead: ({ credential, generations }) => void this.#keepers.get(credential)?.died(generations),
      onDown: () => {
        for (const keeper of this.#keepers.values()) keeper.detach()
      },
      onDesired: ({ state, nonce }, session, send) => {
        const keeper = this.#keepers.get(state.credential)
        if (keeper) return keeper.offer(state, { session, nonce, send })
        const { credential, revision } = state
        log.warn({ credential, revision }, 'no adapter is configured for this credential')
        send({
          type: 'nack',
          credential,
          revision,
          session,
          generation: null,
          reason: 'not_configured',
          detail: 'no adapter is configured for this credential on this node',
        })
      },
    })
  }

  async start(): Promise<void> {
    this.#status = await serveStatus(this.#config.stateDir, () => this.status())
    this.#link.start()
    this.#every(renewalLookMs(this.#renewal.identity), async () => {
      const { session } = this.#link
      const csr = session === undefined ? undefined : await this.#renewal.requestIfDue()
      if (session !== undefined && csr !== undefined) this.#link.send({ type: 'renew', session, csr })
    })
    const keepers = [...this.#keepers.values()]
    for (const keeper of keepers) {
      // The link is up meanwhile: an order that arrives early waits for the journal, and then replaces it.
      keeper
        .start()
        .catch(() => this.#log.error({ credential: keeper.credential }, 'the journal cannot be read'))
      this.#every(this.#config.pollMs, () => keeper.check())
      const reporter = new UsageReporter(keeper)
      this.#every(this.#config.usageMs, async () => {
        const { session } = this.#link
        if (session !== undefined) await reporter.report(session, (message) => this.#link.send(message))
      })
    }
  }

  /** With the certificate that it has by now. */
  get identity(): Identity {
    return this.#renewal.identity
  }

  status(): AgentStatus {
    return {
      node: this.#config.node,
      pid: process.pid,
      session: this.#link.session ?? null,
      certificateExpiresAt: this.#renewal.identity.expiresAt,
      credentials: [...this.#keepers.values()].map((keeper) => keeper.status()),
    }
  }

  /** Leaves the gateway as it is: serving goes on without an agent. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    await Promise.all([this.#link.stop(), ...[...this.#keepers.values()].map((keeper) => keeper.stop())])
    const status = this.#status
    if (status) await new Promise<void>((resolve) => status.close(() => resolve()))
  }

  /** Runs again and again, never twice at once. */
  #every(ms: number, task: () => Promise<void>): void {
    let busy = false
    const timer = setInterval(() => {
      if (busy) return
      busy = true
      task()
        .catch(() => {})
        .finally(() => {
          busy = false
        })
    }, ms)
    this.#timers.push(timer)
  }
}
