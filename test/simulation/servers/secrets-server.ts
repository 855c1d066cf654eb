import type { SecretsManager } from '@rekey/backend-aws'
import { Secret } from '@rekey/contracts'
import type { Ground } from '../ground.ts'
import type { Shown } from './kv-server.ts'
import type { AnyWay } from './way.ts'

type Version = { id: string; text: string; labels: readonly string[] }

/** AWS Secrets Manager in memory: versions by id, labels that move. */
export class SecretsServer {
  readonly name: string
  readonly #ground: Ground
  readonly #secrets = new Map<string, { since: number; versions: readonly Version[] }[]>()
  changes = 0

  constructor(ground: Ground, name: string) {
    this.#ground = ground
    this.name = name
  }

  #look(secret: string, lagMs: number): readonly Version[] | undefined {
    const history = this.#secrets.get(secret)
    if (!history) return undefined
    return lagMs === 0
      ? history.at(-1)?.versions
      : history.findLast((entry) => entry.since <= this.#ground.now - lagMs)?.versions
  }

  #put(secret: string, versions: readonly Version[]): void {
    this.changes++
    const history = this.#secrets.get(secret) ?? []
    history.push({ since: this.#ground.now, versions })
    // As far back as a stale read may look.
    while (history.length > 2 && (history[1]?.since ?? 0) < this.#ground.now - 2_000) history.shift()
    this.#secrets.set(secret, history)
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

  /** A label is on one version at a time; what loses AWSCURRENT becomes the previous one. */
  #label(versions: readonly Version[], label: string, to: string | undefined): readonly Version[] {
    const was = versions.find((v) => v.labels.includes(label))
    const moved = versions.map((v) => {
      const kept = v.labels.filter((l) => l !== label)
      return v.id === to ? { ...v, labels: [...kept, label] } : { ...v, labels: kept }
    })
    const isLeaving = label === 'AWSCURRENT' && was && was.id !== to
    return isLeaving ? this.#label(moved, 'AWSPREVIOUS', was.id) : moved
  }

  #add(secret: string, version: { token: string; text: Secret; labels: string[] }) {
    const versions = this.#look(secret, 0)
    if (!versions) return 'absent'
    const there = versions.find((v) => v.id === version.token)
    const text = version.text.reveal()
    if (there) return there.text === text ? 'repeated' : 'taken'
    const added = [...versions, { id: version.token, text, labels: [] }]
    const isFirst = !versions.some((v) => v.labels.includes('AWSCURRENT'))
    const labels = isFirst ? [...version.labels, 'AWSCURRENT'] : version.labels
    this.#put(
      secret,
      labels.reduce((held: readonly Version[], label) => this.#label(held, label, version.token), added),
    )
    return 'done'
  }

  #move(secret: string, { label, from, to }: { label: string; from?: string; to?: string }) {
    const versions = this.#look(secret, 0) ?? []
    const on = versions.find((v) => v.labels.includes(label))
    const isThere = to === undefined || versions.some((v) => v.id === to)
    // Without `from` the label must be nowhere, or where it shall be already.
    const isFrom = from === undefined ? on === undefined || on.id === to : on?.id === from
    if (!isThere || !isFrom) return 'refused'
    this.#put(secret, this.#label(versions, label, to))
    return 'done'
  }

  #find(secret: string, at: { versionId: string } | { label: string }, lagMs: number): Version | undefined {
    return this.#look(secret, lagMs)?.find((v) =>
      'label' in at ? v.labels.includes(at.label) : v.id === at.versionId,
    )
  }

  shown(credential: string): { shown: Shown | undefined; ageMs: number } {
    const ageMs = this.#lag()
    return { shown: shownBy(this.#find(credential, { label: 'AWSCURRENT' }, ageMs)), ageMs }
  }

  current(credential: string): Shown | undefined {
    return shownBy(this.#find(credential, { label: 'AWSCURRENT' }, 0))
  }

  /** A version without a label counts as gone: AWS removes it in its own time. */
  holds(credential: string, generation: number): boolean {
    const versions = this.#look(credential, 0) ?? []
    return versions.some((v) => v.labels.length > 0 && shownBy(v)?.generation === generation)
  }

  client(way: AnyWay): SecretsManager {
    const { lag, change } = this.#view()
    return {
      create: (secret, token, text, bound) =>
        way.write(
          bound,
          `create ${secret}`,
          change(() => {
            if (this.#look(secret, 0)) return
            this.#put(secret, [{ id: token, text: text.reveal(), labels: ['AWSCURRENT'] }])
          }),
        ),
      labels: (secret, bound) =>
        way.read(bound, () => {
          const versions = this.#look(secret, lag())
          return versions && new Map(versions.filter((v) => v.labels.length > 0).map((v) => [v.id, v.labels]))
        }),
      versions: (secret, bound) =>
        way.read(bound, () =>
          this.#look(secret, lag())?.map((v) => ({ versionId: v.id, labels: v.labels, createdAt: 0 })),
        ),
      // No secret of this world has one.
      replication: (_secret, bound) => way.read(bound, () => new Map()),
      get: (secret, at, bound) =>
        way.read(bound, () => {
          const found = this.#find(secret, at, lag())
          return found && { versionId: found.id, labels: found.labels, text: Secret.of(found.text) }
        }),
      put: (secret, version, bound) =>
        way.write(
          bound,
          `put ${secret} ${version.labels}`,
          change(() => this.#add(secret, version)),
        ),
      moveLabel: (secret, move, bound) =>
        way.write(
          bound,
          `move ${move.label} of ${secret}`,
          change(() => this.#move(secret, move)),
        ),
      close: () => undefined,
    }
  }
}

function shownBy(version: Version | undefined): Shown | undefined {
  if (!version) return undefined
  const found: { value?: unknown; generation?: unknown } = JSON.parse(version.text)
  if (typeof found.value !== 'string') return undefined
  return { generation: Number(found.generation), text: found.value }
}
