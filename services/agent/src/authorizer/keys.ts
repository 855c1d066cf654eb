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

/** Which keys are accepted, credential by credential: in memory, and in the file that the next process starts with. */
export class Keys {
  readonly #file: string
  readonly #held: Map<string, Held>
  #found = new Map<string, Found>()
  /** One after the other: the file shows the last of them. */
  #turn: Promise<void> = Promise.resolve()

  private constructor(file: string, held: Map<string, Held>) {
    this.#file = file
    this.#held = held
    this.#index()
  }

  /** Throws where the file is there and is not one of ours: who starts with nothing would not know what is in flight. */
  static async load(file: string): Promise<Keys> {
    const text = await readIfPresent(file)
    if (text === undefined) return new Keys(file, new Map())
    try {
      return new Keys(file, new Map(Object.entries(Page.parse(JSON.parse(text)))))
    } catch {
      throw new Error(`${file} is damaged: remove it, and the agent fills it again`)
    }
  }

  /** The file goes first: what was said once must not be undone by a restart. */
  swap(credential: string, part: Part, entries: Entries): Promise<void> {
    const work = this.#turn.then(async () => {
      const before = this.#held.get(credential) ?? { keys: new Map(), graves: new Map() }
      if (sameEntries(before[part], entries)) return
      const after = new Map(this.#held).set(credential, { ...before, [part]: entries })
      await writeDurably(this.#file, `${JSON.stringify(Object.fromEntries([...after].map(asJson)))}\n`)
      this.#held.set(credential, { ...before, [part]: entries })
      this.#index()
    })
    this.#turn = work.catch(() => undefined)
    return work
  }

  of(credential: string, part: Part): Entries {
    return this.#held.get(credential)?.[part] ?? new Map()
  }

  /** The key ids of all that is accepted. */
  accepted(): string[] {
    return [...this.#held.values()].flatMap(({ keys }) => [...keys.values()])
  }

  find(digest: string): Found | undefined {
    return this.#found.get(digest)
  }

  #index(): void {
    const found = new Map<string, Found>()
    for (const { graves } of this.#held.values())
      for (const [digest, keyId] of graves) found.set(digest, { part: 'graves', keyId })
    // What is accepted is accepted, whatever else is said of it.
    for (const { keys } of this.#held.values())
      for (const [digest, keyId] of keys) found.set(digest, { part: 'keys', keyId })
    this.#found = found
  }
}

const asJson = ([credential, { keys, graves }]: [string, Held]) => [
  credential,
  { keys: Object.fromEntries(keys), graves: Object.fromEntries(graves) },
]
