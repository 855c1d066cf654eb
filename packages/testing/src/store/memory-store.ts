import {
  type Call,
  type ListedVersion,
  type ReadValue,
  RekeyError,
  type Secret,
  type Store,
  type StoredValue,
} from '@rekey/contracts'
import { type MemoryWay, memoryWay } from './memory-way.ts'

/** `stored` is absent for what somebody else wrote, and 'withdrawn' where readers shall find nothing. */
type Version = { version: number; stored?: StoredValue | 'withdrawn'; live?: Secret; callKey?: string }

/** One secret in memory, as a server would hold it. Several stores can be bound to it. */
export type MemorySecret = {
  staged: Map<number, StoredValue | 'foreign' | 'destroyed'>
  versions: Version[]
}

export function memorySecret(): MemorySecret {
  return { staged: new Map(), versions: [] }
}

/** Somebody writes a value by hand. */
export function writeByHand(secret: MemorySecret, live: Secret): void {
  secret.versions.push({ version: (secret.versions.at(-1)?.version ?? 0) + 1, live })
}

/** A Store without a server: each verb is one atomic request. Passes the same kit as the real ones. */
export function memoryStore(secret: MemorySecret = memorySecret(), way: MemoryWay = memoryWay()): Store {
  const current = () => secret.versions.at(-1)
  const holds = (seen: Version | undefined, generation: number) =>
    typeof seen?.stored === 'object' && seen.stored.generation === generation
  const foreign = (why: string) => new RekeyError('foreign_writer', why)

  function readOf(found: Version | undefined): ReadValue | undefined {
    if (!found || found.stored === 'withdrawn') return undefined
    if (!found.stored) throw foreign('current holds a version that Rekey did not write')
    return { ...found.stored, storeVersion: String(found.version) }
  }

  function write(stored: StoredValue, callKey: string): string {
    const version = (current()?.version ?? 0) + 1
    secret.versions.push({ version, stored, callKey })
    return String(version)
  }

  return {
    kind: 'memory',

    stage: (value: StoredValue, call: Call) =>
      way.reach(call.signal, () => {
        const there = secret.staged.get(value.generation)
        if (there === 'foreign') throw foreign('the pending version is not ours')
        if (there === 'destroyed') {
          throw new RekeyError('value_lost', `generation ${value.generation} was destroyed, once and for all`)
        }
        if (!there) secret.staged.set(value.generation, { ...value })
        return { ...(there ?? value), storeVersion: 'staging' }
      }),

    read: (generation: number, call: Call) =>
      way.reach(call.signal, () => {
        const staged = secret.staged.get(generation)
        if (typeof staged === 'object') return { ...staged, storeVersion: 'staging' }
        return readOf(secret.versions.findLast((seen) => holds(seen, generation)))
      }),

    readCurrent: (call: Call) => way.reach(call.signal, () => readOf(current())),

    readLive: (call: Call) =>
      way.reach(call.signal, () => {
        const now = current()
        if (!now || now.stored === 'withdrawn') return undefined
        if (now.stored)
          throw new RekeyError(
            'not_adoptable',
            `it holds generation ${now.stored.generation} of another Rekey`,
          )
        if (!now.live) throw new RekeyError('not_adoptable', 'it holds what is no value')
        return { value: now.live, storeVersion: String(now.version) }
      }),

    readShown: (call: Call) =>
      way.reach(call.signal, () => {
        const now = current()
        const value = typeof now?.stored === 'object' ? now.stored.value : now?.live
        return { ...(now && { storeVersion: String(now.version) }), ...(value && { value }) }
      }),

    promote: (generation: number, expected: string | undefined, call: Call, over: readonly number[] = []) =>
      way.reach(call.signal, () => {
        const now = current()
        if (now && holds(now, generation)) return String(now.version)
        const isGivenUp = over.some((held) => holds(now, held))
        if (String(now?.version) !== String(expected) && !isGivenUp)
          throw foreign('current is not what was expected')
        const staged = secret.staged.get(generation)
        if (!staged || staged === 'destroyed') {
          throw new RekeyError('value_lost', `generation ${generation} is not staged`)
        }
        if (staged === 'foreign') throw foreign('the pending version is not ours')
        return write(staged, call.key)
      }),

    restore: (value: StoredValue, call: Call) =>
      way.reach(call.signal, () => {
        const ours = secret.versions.find((seen) => seen.callKey === call.key)
        return ours ? String(ours.version) : write({ ...value }, call.key)
      }),

    withdraw: (generation: number, call: Call) =>
      way.reach(call.signal, () => {
        const ours = secret.versions.find((seen) => seen.callKey === call.key)
        if (ours) return String(ours.version)
        const now = current()
        if (!now || !holds(now, generation)) return undefined
        const version = now.version + 1
        secret.versions.push({ version, stored: 'withdrawn', callKey: call.key })
        return String(version)
      }),

    destroy: (generation: number, call: Call) =>
      way.reach(call.signal, () => {
        if (holds(current(), generation)) {
          throw new RekeyError('not_allowed_now', `generation ${generation} is current`)
        }
        secret.staged.set(generation, 'destroyed')
        secret.versions = secret.versions.filter((seen) => !holds(seen, generation))
      }),

    list: (call: Call) =>
      way.reach(call.signal, () => {
        const last = secret.versions.length - 1
        const main = secret.versions.map(
          (seen, at): ListedVersion => ({
            storeVersion: String(seen.version),
            labels: at === last ? ['current'] : at === last - 1 ? ['previous'] : [],
            ...(typeof seen.stored === 'object' && { generation: seen.stored.generation }),
          }),
        )
        const held = [...secret.staged].filter(([, staged]) => staged !== 'destroyed')
        const pending = held.map(([generation, staged]): ListedVersion => {
          const promoted = main.some((seen) => seen.generation === generation)
          const known = staged === 'foreign' ? {} : { generation }
          return { storeVersion: 'staging', labels: promoted ? [] : ['pending'], ...known }
        })
        return [...main, ...pending]
      }),
  }
}
