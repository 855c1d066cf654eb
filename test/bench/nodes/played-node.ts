import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { anonymousVault, connectVault, type VaultClient } from '@rekey/backend-vault'
import { Secret } from '@rekey/contracts'
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
}

/** When nodes were told of a revision, and answered for it: the last of them. */
export type Heard = Record<number, { toldAt: number; answeredAt: number; nodes: number }>

const USAGE_MS = 1_000

/** A played gateway notices no knocks. */
const noFile = { read: async () => undefined, write: async () => undefined }

/**
 * A node of the fleet, many in one process: the agent's own enrolment, identity, channel, keeper and counters, with a
 * played gateway behind them. Its journal is in memory, because the hosts of a fleet do not share one disk.
 */
export class PlayedNode {
  readonly node: string
  readonly identity: Identity
  readonly vault: VaultClient
  readonly #link: FleetLink
  readonly #keeper: CredentialKeeper

  private constructor(node: string, identity: Identity, door: Door, around: Surroundings, heard: Heard) {
    const { fleet, vaultAddr, credential, logger: log } = around
    const { roleId, secretId } = identity.vault
    const boot = randomUUID()
    this.node = node
    this.identity = identity
    this.vault = connectVault({ addr: vaultAddr, roleId, secretId: Secret.of(secretId) })
    const adapter = door.adapter()
    const keeper = new CredentialKeeper({
      credential,
      adapter,
      values: vaultValues(this.vault),
      journal: memoryJournal(),
      graveyard: new Graveyard({ credential, adapter, file: noFile, log }),
      spiffeId: identity.spiffeId,
      boot,
      log,
    })
    this.#keeper = keeper
    this.#link = new FleetLink({
      url: fleet.url,
      node,
      identity: () => identity,
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
      onDesired({ state, nonce }, session, send) {
        const of = (revision: number) => {
          heard[revision] ??= { toldAt: 0, answeredAt: 0, nodes: 0 }
          return heard[revision]
        }
        of(state.revision).toldAt = nowMs()
        keeper.offer(state, {
          session,
          nonce,
          send(message) {
            send(message)
            if (message.type !== 'ack') return
            of(message.revision).answeredAt = nowMs()
            of(message.revision).nodes++
          },
        })
      },
    })
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
      usageMs: USAGE_MS,
      adapters: [],
    }
    const identity = await enrol(config, { unwrap: vaultUnwrap(vault), log: around.logger })
    vault.close()
    const played = new PlayedNode(node, identity, door, around, heard)
    await played.#keeper.start()
    played.#link.start()
    played.#report()
    return played
  }

  /** With the fleet; undefined: it is not connected. */
  get session(): number | undefined {
    return this.#link.session
  }

  /** Counters, as an agent sends them. Those of a real fleet do not all come in the same moment either. */
  #report(): void {
    const reporter = new UsageReporter(this.#keeper)
    const report = () => {
      const { session } = this.#link
      if (session !== undefined) void reporter.report(session, (message) => this.#link.send(message))
    }
    setTimeout(() => setInterval(report, USAGE_MS), Math.random() * USAGE_MS)
  }
}

/** Written a turn of the loop later, as nothing is durable at once. */
function memoryJournal(): Journal {
  let entry: JournalEntry | undefined
  return {
    read: async () => entry,
    async write(next) {
      await turn()
      entry = next
    },
  }
}
