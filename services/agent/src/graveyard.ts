import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { type AcceptedValue, type ClientUse, KNOCKS_MAX, WATCHED_MAX } from '@rekey/contracts'
import { readIfPresent, writeDurably } from '@rekey/runtime'
import { z } from 'zod'
import type { Grave, NodeAdapter } from './adapters/node-adapter.ts'
import type { Log } from './log.ts'

/**
 * What this node knows its values by once they are gone: the newest generations that it held, and which of them are
 * dead. Never a value.
 */
const Page = z.object({
  generations: z.array(
    z.object({
      generation: z.number().int().positive(),
      keyId: z.string(),
      digest: z.string().regex(/^[0-9a-f]{64}$/),
      dead: z.boolean(),
    }),
  ),
})
type Page = z.infer<typeof Page>
type Known = Page['generations'][number]

export interface GraveyardFile {
  read(): Promise<Page | undefined>
  write(page: Page): Promise<void>
}

export function graveyardFile(stateDir: string, credential: string): GraveyardFile {
  const path = join(stateDir, `graveyard-${credential}.json`)
  return {
    async read() {
      const text = await readIfPresent(path)
      if (text === undefined) return undefined
      try {
        return Page.parse(JSON.parse(text))
      } catch {
        // A foreign hand, or a broken disk. What is held now is known again when it is applied.
        return undefined
      }
    },
    write: (page) => writeDurably(path, `${JSON.stringify(page)}\n`),
  }
}

export type Burial = 'counted' | 'not counted'

/** What was buried is looked at again after this: somebody else may have taken it away. */
const AGAIN_MS = 10_000

/**
 * Dead generations of one credential on this node. A knock is a request with one of them, and nothing of Rekey's own may
 * look like it: a generation is buried only once it is proved dead, which ends all of Rekey's tries, and once this node has
 * reached its newest order, which ends its own.
 *
 * Nothing here may hold up an order or an answer: what fails is logged once, and tried again.
 */
export class Graveyard {
  readonly #adapter: Pick<NodeAdapter, 'bury' | 'knocks'>
  readonly #file: GraveyardFile
  readonly #log: Log
  readonly #credential: string
  #known: Known[] = []
  /** Everything that was said to be dead: it may be said before the file is read. */
  readonly #dead = new Set<number>()
  #isLoaded = false
  #buried: number[] = []
  #saved = ''
  #said: string | undefined
  #burial: Burial = 'not counted'
  #asked: { graves: string; at: number } | undefined
  readonly #againMs: number
  /** One after the other: what is told to the gateway, and what is written. */
  #turn: Promise<void> = Promise.resolve()
  #writing: Promise<void> = Promise.resolve()

  constructor(options: {
    credential: string
    adapter: Pick<NodeAdapter, 'bury' | 'knocks'>
    file: GraveyardFile
    log: Log
    againMs?: number
  }) {
    this.#credential = options.credential
    this.#adapter = options.adapter
    this.#file = options.file
    this.#log = options.log
    this.#againMs = options.againMs ?? AGAIN_MS
  }

  get burial(): Burial {
    return this.#burial
  }

  /** The dead generations that this node would notice now. */
  get watched(): number[] {
    return this.#buried
  }

  async load(): Promise<void> {
    const page = await this.#file.read().catch(() => undefined)
    this.#isLoaded = true
    if (page) this.#saved = JSON.stringify(page)
    for (const { generation, dead } of page?.generations ?? []) if (dead) this.#dead.add(generation)
    this.#learn(page?.generations ?? [])
    await this.#save()
  }

  /** Values that the software was given: they will be known when they are dead, also after a restart of this agent. */
  remember(accept: readonly AcceptedValue[]): Promise<void> {
    this.#learn(
      accept.map(({ generation, keyId, value }) => {
        const digest = createHash('sha256').update(value.reveal()).digest('hex')
        return { generation, keyId, digest, dead: false }
      }),
    )
    return this.#save()
  }

  /** What died stays dead, whatever is said later. */
  died(generations: readonly number[]): Promise<void> {
    for (const generation of generations) this.#dead.add(generation)
    this.#learn([])
    return this.#save()
  }

  /** Buries what is dead, but for what the node accepts. Repeated, it makes good what a foreign hand took away. */
  bury(accepted: readonly number[]): Promise<void> {
    this.#turn = this.#turn.then(() => this.#bury(accepted))
    return this.#turn
  }

  /** The latest knocks; undefined: this node does not notice any. */
  async knocks(): Promise<ClientUse[] | undefined> {
    if (this.#burial === 'not counted') return undefined
    const rows = await this.#adapter.knocks?.().catch(() => undefined)
    return rows
      ?.filter((row) => this.#buried.includes(row.generation))
      .toSorted((a, b) => a.lastUseAgeMs - b.lastUseAgeMs)
      .slice(0, KNOCKS_MAX)
  }

  async #bury(accepted: readonly number[]): Promise<void> {
    const dead = this.#known.filter((k) => k.dead && !accepted.includes(k.generation))
    const graves = dead.map(({ keyId, digest }): Grave => ({ keyId, digest }))
    const asked = { graves: JSON.stringify(graves), at: performance.now() }
    if (asked.graves === this.#asked?.graves && asked.at - this.#asked.at < this.#againMs) return
    this.#asked = asked
    try {
      const isDone = (await this.#adapter.bury?.(graves)) ?? false
      this.#buried = isDone ? dead.map((k) => k.generation) : []
      this.#burial = isDone ? 'counted' : 'not counted'
      this.#say(isDone ? undefined : 'this node is not set up for it')
    } catch (error) {
      // The software keeps what it was told before, and is asked again.
      this.#asked = undefined
      this.#say(`dead keys could not be told to the gateway: ${(error as Error).message}`)
    }
  }

  #learn(more: readonly Known[]): void {
    const held = new Set(this.#known.map((k) => k.generation))
    this.#known = [...this.#known, ...more.filter((k) => !held.has(k.generation))]
      .toSorted((a, b) => a.generation - b.generation)
      .slice(-WATCHED_MAX)
      .map((k) => ({ ...k, dead: this.#dead.has(k.generation) }))
  }

  #save(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write())
    return this.#writing
  }

  async #write(): Promise<void> {
    // What the agent before this one wrote must not be written over before it was read.
    if (!this.#isLoaded) return
    const text = JSON.stringify({ generations: this.#known })
    if (text === this.#saved) return
    this.#saved = text
    try {
      await this.#file.write({ generations: this.#known })
    } catch (error) {
      this.#saved = ''
      this.#say(`what the node held could not be written down: ${(error as NodeJS.ErrnoException).code}`)
    }
  }

  /** Once, until it is over or another thing. */
  #say(what: string | undefined): void {
    if (what === this.#said) return
    this.#said = what
    const credential = this.#credential
    if (!this.#adapter.bury)
      this.#log.info({ credential, detail: what }, 'knocks with dead keys are not counted')
    else if (what === undefined) this.#log.info({ credential }, 'knocks with dead keys are counted again')
    else this.#log.warn({ credential, detail: what }, 'knocks with dead keys are not counted')
  }
}
