import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { anonymousVault, connectVault, type VaultClient } from '@rekey/backend-vault'
import { type AgentToFleet, Secret } from '@rekey/contracts'
import { ensurePrivateFolder, type Logger } from '@rekey/runtime'
import {
  CredentialKeeper,
  enrol,
  FleetLink,
  Graveyard,
  type Identity,
  type Journal,
  type JournalEntry,
  UsageReporter,
  vaultUnwrap,
  vaultValues,
} from './agent-code.ts'
import { nowMs } from './clock.ts'
import type { Door } from './doors.ts'

/** Where the real servers are, and where its own files go. */
export type Surroundings = {
  fleet: { url: string; enrolUrl: string; caFile: string }
  vaultAddr: string
  dir: string
  credential: string
  logger: Logger
  /** How often counters are read; each second where nothing is said. */
  usageMs?: number
}

/** When nodes were told of a revision, and answered for it: the last of them. */
export type Heard = Record<number, { toldAt: number; answeredAt: number; nodes: number }>

type Ack = Extract<AgentToFleet, { type: 'ack' }>
/** What ends with the agent's process. */
type Life = { link: FleetLink; keeper: CredentialKeeper; timers: NodeJS.Timeout[] }

const USAGE_MS = 1_000

/** A played gateway notices no knocks. */
const noFile = { read: async () => undefined, write: async () => undefined }

/**
 * A node of the fleet, many in one process: the agent's own enrolment, identity, channel, keeper and counters, with a
 * played gateway behind them. Its disk is in memory, because the hosts of a fleet do not share one.
 */
export class PlayedNode {
  readonly node: string
  readonly identity: Identity
  readonly vault: VaultClient
  readonly door: Door
  /** The newest ack that it has sent. */
  lastAck: Ack | undefined
  readonly #around: Surroundings
  readonly #heard: Heard
  /** Entries of the journal, the newest last: an image of the disk may have been made at any of them. */
  readonly #disk: JournalEntry[] = []
  #life: Life | undefined

  private constructor(node: string, identity: Identity, door: Door, around: Surroundings, heard: Heard) {
    const { roleId, secretId } = identity.vault
    this.node = node
    this.identity = identity
    this.door = door
    this.#around = around
    this.#heard = heard
    this.vault = connectVault({ addr: around.vaultAddr, roleId, secretId: Secret.of(secretId) })
  }

  /** Enrols with its join token, and connects. */
  static async join(
    { node, token }: { node: string; token: string },
    door: Door,
    around: Surroundings,
    heard: Heard,
  ): Promise<PlayedNode> {
    const stateDir = join(around.dir, node)
    await ensurePrivateFolder(stateDir)
    const joinTokenFile = join(stateDir, 'join-token')
    await writeFile(joinTokenFile, token, { mode: 0o600 })
    const vault = anonymousVault({ addr: around.vaultAddr })
    const config = {
      node,
      fleet: around.fleet,
      joinTokenFile,
      stateDir,
      vault: { addr: around.vaultAddr },
      pollMs: 1_000,
      usageMs: around.usageMs ?? USAGE_MS,
      adapters: [],
    }
    const identity = await enrol(config, { unwrap: vaultUnwrap(vault), log: around.logger })
    vault.close()
    const played = new PlayedNode(node, identity, door, around, heard)
    await played.boot()
    return played
  }

  /** With the fleet; undefined: it is not connected. */
  get session(): number | undefined {
    return this.#life?.link.session
  }

  /** As `rekey-agent status` has it: connected, and at its desired state. */
  get isReady(): boolean {
    const status = this.#life?.keeper.status()
    return (
      status?.told === true && this.session !== undefined && status.appliedRevision === status.desiredRevision
    )
  }

  get status(): ReturnType<CredentialKeeper['status']> | undefined {
    return this.#life?.keeper.status()
  }

  /** A new process on this disk. */
  async boot(): Promise<void> {
    if (this.#life) throw new Error(`${this.node} runs already`)
    const { credential, logger: log, fleet, usageMs } = this.#around
    const boot = randomUUID()
    const adapter = this.door.adapter()
    const keeper = new CredentialKeeper({
      credential,
      adapter,
      values: vaultValues(this.vault),
      journal: this.#journal(),
      graveyard: new Graveyard({ credential, adapter, file: noFile, log }),
      spiffeId: this.identity.spiffeId,
      boot,
      log,
    })
    const link = new FleetLink({
      url: fleet.url,
      node: this.node,
      identity: () => this.identity,
      hello: {
        type: 'hello',
        boot,
        agentVersion: 'played',
        adapters: [{ credential, kind: adapter.kind, disruption: adapter.disruption }],
      },
      log,
      onDead: () => undefined,
      onRenewed: () => undefined,
      onDown: () => keeper.detach(),
      onDesired: ({ state, nonce }, session, send) => {
        const of = (revision: number) => {
          this.#heard[revision] ??= { toldAt: 0, answeredAt: 0, nodes: 0 }
          return this.#heard[revision]
        }
        of(state.revision).toldAt = nowMs()
        keeper.offer(state, {
          session,
          nonce,
          send: (message) => {
            send(message)
            if (message.type !== 'ack') return
            this.lastAck = message
            of(message.revision).answeredAt = nowMs()
            of(message.revision).nodes++
          },
        })
      },
    })
    const life: Life = { link, keeper, timers: [] }
    this.#life = life
    await keeper.start()
    link.start()
    // Counters, as an agent sends them. Those of a real fleet do not all come in the same moment either.
    const everyMs = usageMs ?? USAGE_MS
    const reporter = new UsageReporter(keeper)
    const report = () => {
      const { session } = link
      if (session !== undefined) void reporter.report(session, (message) => link.send(message))
    }
    const first = setTimeout(() => life.timers.push(setInterval(report, everyMs)), Math.random() * everyMs)
    life.timers.push(first)
  }

  /** The host is away, with all that was in memory. Whoever cuts its connections does it before, as a crash says no goodbye. */
  async end(): Promise<void> {
    const life = this.#life
    this.#life = undefined
    if (!life) return
    for (const timer of life.timers) clearTimeout(timer)
    this.door.accept([])
    await Promise.all([life.link.stop(), life.keeper.stop()])
    this.door.accept([])
  }

  /** The disk as it was so many entries ago: an old image. All of them: an empty one. */
  forget(entries: number): void {
    this.#disk.splice(Math.max(0, this.#disk.length - entries))
  }

  /** Says something on its session that its agent would not say. */
  say(message: AgentToFleet): void {
    this.#life?.link.send(message)
  }

  /** Written a turn of the loop later, as nothing is durable at once. */
  #journal(): Journal {
    return {
      read: async () => this.#disk.at(-1),
      write: async (entry) => {
        await turn()
        this.#disk.push(entry)
        if (this.#disk.length > IMAGES_MAX) this.#disk.shift()
      },
    }
  }
}

/** How far back an image may be. */
const IMAGES_MAX = 32
