import { readIfPresent, writeDurably } from '@rekey/runtime'
import { z } from 'zod'
import { type Entries, sameEntries } from '../adapters/key-map.ts'

/** As JSON: SHA-256 of a value, 64 hexadecimal digits → key id. */
export const EntriesJson = z
  .record(z.string().regex(/^[0-9a-f]{64}$/), z.string().regex(/^[A-Za-z0-9._-]{1,127}$/))
  .transform((entries): Entries => new Map(Object.entries(entries)))

const Page = z.record(z.string(), z.object({ keys: EntriesJson, graves: EntriesJson }))

/** `keys` are accepted; `graves` are dead ones, whose use is noticed. */
export type Part = 'graves' | 'keys'
type Held = Record<Part, Entries>
export type Found = { part: Part; keyId: string }

const NOTHING: Held = { keys: new Map(), graves: new Map() }

/** Which keys are accepted, credential by credential: in memory, and in the file that the next process starts with. */
export class Keys {
  readonly #file: string
  readonly #held: Map<string, Held>
  /** What was asked for last: what is not in it any more is not taken in again by something that was under way. */
  readonly #wanted = new Map<string, Entries>()
  #written: string | undefined
  /** One after the other: the file shows the last of them. */
  #turn: Promise<unknown> = Promise.resolve()

  private constructor(file: string, held: Map<string, Held>, written?: string) {
    this.#file = file
    this.#held = held
    this.#written = written
  }

  /** Throws where the file is there and is not one of ours: who starts with nothing would not know what is in flight. */
  static async load(file: string): Promise<Keys> {
    const text = await readIfPresent(file)
    if (text === undefined) return new Keys(file, new Map())
    try {
      return new Keys(file, new Map(Object.entries(Page.parse(JSON.parse(text)))), text)
    } catch {
      throw new Error(`${file} is damaged: remove it, and the agent fills it again`)
    }
  }

  /** Whether anybody has said yet which keys of it are accepted. */
  knows(credential: string): boolean {
    return this.#held.has(credential)
  }

  /**
   * What goes is gone at once, whatever becomes of the file; what comes is in the file first, so that a restart does not
   * undo what was said. Throws where the file cannot be written.
   */
  swap(credential: string, part: Part, entries: Entries): Promise<void> {
    this.#wanted.set(`${credential} ${part}`, entries)
    if (this.knows(credential)) this.#set(credential, part, common(this.of(credential, part), entries))
    return this.#inTurn(async () => {
      const before = this.#held.get(credential) ?? NOTHING
      const text = textOf(new Map(this.#held).set(credential, { ...before, [part]: entries }))
      if (text !== this.#written) await this.#write(text)
      const wanted = this.#wanted.get(`${credential} ${part}`) ?? entries
      this.#set(credential, part, wanted === entries ? entries : common(entries, wanted))
    })
  }

  /** Somebody else may have changed the file, or taken it away: it is written again. */
  mend(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#written !== undefined && (await readIfPresent(this.#file)) !== this.#written)
        await this.#write(this.#written)
    })
  }

  of(credential: string, part: Part): Entries {
    return (this.#held.get(credential) ?? NOTHING)[part]
  }

  /** The key ids of all that is accepted. */
  accepted(): string[] {
    return [...this.#held.values()].flatMap(({ keys }) => [...keys.values()])
  }

  /** What is accepted is accepted, whatever else is said of it. */
  find(credential: string, digest: string): Found | undefined {
    for (const part of ['keys', 'graves'] as const) {
      const keyId = this.of(credential, part).get(digest)
      if (keyId !== undefined) return { part, keyId }
    }
    return undefined
  }

  #set(credential: string, part: Part, entries: Entries): void {
    const before = this.#held.get(credential) ?? NOTHING
    if (!this.knows(credential) || !sameEntries(before[part], entries))
      this.#held.set(credential, { ...before, [part]: entries })
  }

  async #write(text: string): Promise<void> {
    await writeDurably(this.#file, text)
    this.#written = text
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const result = this.#turn.then(work)
    this.#turn = result.catch(() => undefined)
    return result
  }
}

const common = (some: Entries, others: Entries): Entries =>
  new Map([...some].filter(([digest, keyId]) => others.get(digest) === keyId))

const textOf = (held: Map<string, Held>): string =>
  `${JSON.stringify(Object.fromEntries([...held].map(asJson)))}\n`

const asJson = ([credential, { keys, graves }]: [string, Held]) => [
  credential,
  { keys: Object.fromEntries(keys), graves: Object.fromEntries(graves) },
]
