import type { KvMetadata, KvVersion, VaultClient, VaultKv } from '@rekey/backend-vault'
import type { Ground } from '../ground.ts'
import type { AnyWay } from './way.ts'

type Version = { version: number; data: Record<string, unknown> | undefined }
type Path = { current: number; custom: Record<string, string>; versions: readonly Version[] }

/** A value as readers get it. */
export type Shown = { generation: number; text: string }

/** Vault's KV version 2 in memory: versions, check-and-set, destroyed bytes. */
export class KvServer {
  readonly name: string
  readonly #ground: Ground
  /** Newest last; older ones are what a stale read shows. */
  readonly #paths = new Map<string, { since: number; path: Path }[]>()
  /** Grows with each write. */
  changes = 0

  constructor(ground: Ground, name: string) {
    this.#ground = ground
    this.name = name
  }

  #look(at: string, lagMs: number): Path | undefined {
    const history = this.#paths.get(at)
    if (!history) return undefined
    if (lagMs === 0) return history.at(-1)?.path
    return history.findLast((entry) => entry.since <= this.#ground.now - lagMs)?.path
  }

  #put(at: string, path: Path): void {
    this.changes++
    const history = this.#paths.get(at) ?? []
    history.push({ since: this.#ground.now, path })
    // As far back as a stale read may look.
    while (history.length > 2 && (history[1]?.since ?? 0) < this.#ground.now - 2_000) history.shift()
    this.#paths.set(at, history)
  }

  #lag(): number {
    return this.#ground.hit('stale-reads', (fault) => fault.server === this.name)?.lagMs ?? 0
  }

  /** One act's view: its reads look back at times, but never behind what it saw or did before. */
  #view() {
    let seen = 0
    return {
      lag: () => {
        const { now } = this.#ground
        seen = Math.max(seen, now - this.#lag())
        return now - seen
      },
      change:
        <T>(change: () => T) =>
        () => {
          seen = this.#ground.now
          return change()
        },
    }
  }

  /** What is held under a path now. */
  read(at: string, version?: number, lagMs = 0): KvVersion | undefined {
    const path = this.#look(at, lagMs)
    const wanted = version ?? path?.current
    const found = path?.versions.find((v) => v.version === wanted)
    return found?.data && { version: found.version, data: found.data }
  }

  #write(at: string, data: Record<string, unknown>, cas: number | undefined): number | 'mismatch' {
    const before = this.#look(at, 0)
    const current = before?.current ?? 0
    if (cas !== undefined && cas !== current) return 'mismatch'
    const version = current + 1
    // A mount keeps ten versions.
    const versions = [...(before?.versions ?? []), { version, data }].slice(-10)
    this.#put(at, { current: version, custom: before?.custom ?? {}, versions })
    return version
  }

  #destroy(at: string, versions: readonly number[]): void {
    const before = this.#look(at, 0)
    if (!before) return
    const kept = before.versions.map((v) => (versions.includes(v.version) ? { ...v, data: undefined } : v))
    this.#put(at, { ...before, versions: kept })
  }

  #metadata(at: string, lagMs: number): KvMetadata | undefined {
    const path = this.#look(at, lagMs)
    return (
      path && {
        currentVersion: path.current,
        customMetadata: path.custom,
        versions: path.versions.map((v) => ({
          version: v.version,
          deleted: false,
          destroyed: v.data === undefined,
        })),
      }
    )
  }

  /** A reader without an agent, and how old what it sees may be. */
  shown(credential: string): { shown: Shown | undefined; ageMs: number } {
    const ageMs = this.#lag()
    return { shown: shownBy(this.read(credential, undefined, ageMs)), ageMs }
  }

  /** What readers get, as it is. */
  current(credential: string): Shown | undefined {
    return shownBy(this.read(credential))
  }

  /** A node reads one generation where it is staged. */
  staged(credential: string, generation: number): Shown | undefined {
    return shownBy(this.read(`rekey-staging/${credential}/${generation}`, undefined, this.#lag()))
  }

  /** Whether any copy of a generation is held. */
  holds(credential: string, generation: number): boolean {
    if (shownBy(this.read(`rekey-staging/${credential}/${generation}`))) return true
    const main = this.#look(credential, 0)
    const isIts = ({ version, data }: Version) =>
      data && shownBy({ version, data })?.generation === generation
    return main?.versions.some(isIts) ?? false
  }

  /** The client of one worker for one act. Of Vault, only what a store uses. */
  client(way: AnyWay): VaultClient {
    const { lag, change } = this.#view()
    const kv: VaultKv = {
      kvRead: (_mount, path, options) => way.read(options, () => this.read(path, options?.version, lag())),
      kvWrite: (_mount, path, data, options) =>
        way.write(
          options,
          `write ${path}`,
          change(() => this.#write(path, data, options?.cas)),
        ),
      kvMetadata: (_mount, path, bound) => way.read(bound, () => this.#metadata(path, lag())),
      kvWriteCustomMetadata: (_mount, path, custom, bound) =>
        way.write(
          bound,
          `note ${path}`,
          change(() => {
            const before = this.#look(path, 0)
            this.#put(path, { current: 0, versions: [], ...before, custom })
          }),
        ),
      kvDestroy: (_mount, path, versions, bound) =>
        way.write(
          bound,
          `destroy ${path}`,
          change(() => this.#destroy(path, versions)),
        ),
      kvDeleteMetadata: () => Promise.reject(new Error('nobody deletes metadata')),
      kvList: () => Promise.reject(new Error('nobody lists')),
    }
    return kv as VaultClient
  }
}

function shownBy(found: KvVersion | undefined): Shown | undefined {
  if (typeof found?.data.value !== 'string') return undefined
  return { generation: Number(found.data.generation), text: found.data.value }
}
