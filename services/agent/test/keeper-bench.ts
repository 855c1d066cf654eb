import {
  type AgentToFleet,
  type ClientUse,
  type DesiredState,
  type Probe,
  Secret,
  type Usage,
} from '@rekey/contracts'
import type { Grave, NodeAdapter } from '../src/adapters/node-adapter.ts'
import { Graveyard, type GraveyardFile } from '../src/graveyard.ts'
import type { Journal, JournalEntry } from '../src/journal.ts'
import { CredentialKeeper } from '../src/keeper.ts'
import type { Log } from '../src/log.ts'
import type { Fetched, ValueSource } from '../src/value-source.ts'

/** A gateway, a store and a journal in memory, and a keeper between them. */

export const sampleValue = (generation: number) => Secret.of(`value-of-generation-${generation}`)

export class FakeGateway implements NodeAdapter {
  readonly kind = 'fake'
  readonly disruption = 'A'
  canTry = true
  accepted = new Map<string, number>()
  applied: number[][] = []
  tries: string[] = []
  failing = false
  answer: (value: Secret) => Probe = (value) => (this.accepted.has(value.reveal()) ? 'accepted' : 'refused')
  beforeApply: () => Promise<void> = async () => {}

  async apply(accept: Parameters<NodeAdapter['apply']>[0]): Promise<void> {
    await this.beforeApply()
    if (this.failing) throw new Error('the socket is gone')
    this.accepted = new Map(accept.map((a) => [a.value.reveal(), a.generation]))
    this.applied.push(accept.map((a) => a.generation))
  }
  async tryValue(value: Secret): Promise<Probe> {
    this.tries.push(value.reveal())
    return this.answer(value)
  }
  async holds(accept: Parameters<NodeAdapter['apply']>[0]): Promise<boolean> {
    return accept.length === this.accepted.size && accept.every((a) => this.accepted.has(a.value.reveal()))
  }
  async drop(generations: number[]): Promise<void> {
    for (const [value, generation] of this.accepted) {
      if (generations.includes(generation)) this.accepted.delete(value)
    }
  }
  usage: () => Promise<Usage[] | undefined> = async () => undefined
  /** Null: it has no place for them, as a gateway that is configured as before. */
  buried: Grave[] | null = []
  knocked: ClientUse[] = []
  used: ClientUse[] | undefined
  async bury(graves: Grave[]): Promise<boolean> {
    if (this.failing) throw new Error('the socket is gone')
    if (this.buried === null) return false
    this.buried = graves
    return true
  }
  async knocks() {
    return this.knocked
  }
  async clients() {
    return this.used
  }
  async close(): Promise<void> {}
}

export class FakeStore implements ValueSource {
  generations = new Set<number>()
  away = false
  /** Generations in the order in which they were asked for. */
  asked: number[] = []
  beforeAnswer: () => Promise<void> = async () => {}
  async fetch(_store: DesiredState['store'], generation: number): Promise<Fetched> {
    this.asked.push(generation)
    await this.beforeAnswer()
    if (this.away) return { kind: 'unreachable', detail: 'away' }
    if (!this.generations.has(generation)) return { kind: 'missing', detail: 'not there' }
    return { kind: 'value', value: sampleValue(generation) }
  }
}

export class MemoryJournal implements Journal {
  entries: JournalEntry[] = []
  constructor(entry?: JournalEntry) {
    if (entry) this.entries.push(entry)
  }
  async read() {
    return this.entries.at(-1)
  }
  async write(entry: JournalEntry) {
    this.entries.push(entry)
  }
}

type Page = Awaited<ReturnType<GraveyardFile['read']>>

export class MemoryGraveyardFile implements GraveyardFile {
  page: Page
  failing = false
  constructor(page?: Page) {
    this.page = page
  }
  async read() {
    return structuredClone(this.page)
  }
  async write(page: NonNullable<Page>) {
    if (this.failing) throw Object.assign(new Error('full'), { code: 'ENOSPC' })
    this.page = structuredClone(page)
  }
}

export const silent: Log = { debug() {}, info() {}, warn() {}, error() {} }

export function desired(revision: number, accept: number[], more: Partial<DesiredState> = {}): DesiredState {
  return {
    credential: 'chat',
    revision,
    accept: accept.map((generation) => ({ generation, keyId: `chat.g${generation}` })),
    refuse: [],
    floor: 1,
    store: { kind: 'vault-kv', mount: 'secret', path: 'chat' },
    ...more,
  }
}

export function keeperBench(options: { journal?: JournalEntry; graves?: Page } = {}) {
  const gateway = new FakeGateway()
  const graves = new MemoryGraveyardFile(options.graves)
  const store = new FakeStore()
  const journal = new MemoryJournal(options.journal)
  const said: AgentToFleet[] = []
  const keeper = new CredentialKeeper({
    credential: 'chat',
    adapter: gateway,
    values: store,
    journal,
    graveyard: new Graveyard({ credential: 'chat', adapter: gateway, file: graves, log: silent, againMs: 0 }),
    spiffeId: 'spiffe://rekey.local/node/gw-1',
    boot: 'boot-1',
    log: silent,
    retry: { baseMs: 5, capMs: 20 },
  })
  const reply = (nonce: string, session = 1) => ({
    session,
    nonce,
    send: (message: AgentToFleet) => void said.push(message),
  })
  return { gateway, store, journal, graves, said, keeper, reply }
}
