import {
  type Call,
  type ListedVersion,
  liveValueIn,
  RekeyError,
  type Store,
  shownValueIn,
} from '@rekey/contracts'
import type { VaultClient } from './client.ts'
import type { KvMetadata, KvVersion } from './kv.ts'
import {
  fromMain,
  GENERATIONS_KEY,
  generationOf,
  generationsFrom,
  generationsText,
  isTombstone,
  isWithdrawn,
  type MainRecord,
  readValueOf,
  recordOf,
  STAGING,
  stagingPath,
  toMain,
  tombstoneOf,
  withdrawnOf,
} from './kv-record.ts'
import { type KvSecret, kvAt } from './place.ts'
import type { Bound } from './session.ts'

/**
 * A credential in Vault's KV version 2, which has versions but no labels:
 *
 *   <mount>/rekey-staging/<path>/<generation>   written once (cas=0), kept until the generation is destroyed.
 *                                               Agents read every live generation here. Its record outlives its
 *                                               bytes, so that no later cas=0 brings the generation back.
 *   <mount>/<path>                              what readers get. Promotion writes it with cas=<the version before>,
 *                                               and so does a withdrawal, which writes a version without a value.
 *
 * So check-and-set is the whole of the locking: whoever writes a generation's staging path first made it, and a
 * promotion that comes late finds another version than it expects.
 *
 * `field` is where readers find the value, with others beside it, which stay; staging copies are always Rekey's own.
 */
export function vaultKvStore(vault: VaultClient, ref: KvSecret): Store {
  const { mount, path, field } = ref
  const client = kvAt(vault, ref)
  const where = `${mount}/${path}`

  const readRaw = (bound: Bound, version?: number) =>
    client.kvRead(mount, path, { ...bound, ...(version !== undefined && { version }) })
  const readMain = async (bound: Bound, version?: number) => {
    const found = await readRaw(bound, version)
    return found && fromMain(found, field)
  }
  const readStaging = async (generation: number, bound: Bound) => {
    const found = await client.kvRead(mount, stagingPath(path, generation), bound)
    return isTombstone(found) ? undefined : found
  }

  /** Whether this generation was destroyed. One whose bytes somebody deleted softly was not. */
  async function isDestroyed(generation: number, bound: Bound): Promise<boolean> {
    const at = stagingPath(path, generation)
    const metadata = await client.kvMetadata(mount, at, bound)
    if (!metadata || metadata.currentVersion === 0) return false
    if (metadata.versions.every((seen) => seen.destroyed)) return true
    return isTombstone(await client.kvRead(mount, at, bound))
  }

  /** Ends the staging copy, one that is still on its way included: whoever is first takes the only cas=0 there is. */
  async function bury(generation: number, bound: Bound): Promise<void> {
    const at = stagingPath(path, generation)
    const written = await client.kvWrite(mount, at, tombstoneOf(generation), { ...bound, cas: 0 })
    const metadata = written === 'mismatch' ? await client.kvMetadata(mount, at, bound) : undefined
    const held = metadata?.versions.filter((seen) => !seen.destroyed).map((seen) => seen.version) ?? []
    const dead = written === 'mismatch' ? held : [written]
    if (dead.length > 0) await client.kvDestroy(mount, at, dead, bound)
  }

  /** All main versions that still hold bytes, newest first. Softly deleted ones come without data. */
  async function mainVersions(metadata: KvMetadata | undefined, bound: Bound): Promise<MainVersion[]> {
    const alive = (metadata?.versions ?? []).filter((seen) => !seen.destroyed).reverse()
    const hints = generationsFrom(metadata?.customMetadata[GENERATIONS_KEY])
    const found: MainVersion[] = []
    for (const { version } of alive) {
      const read = await readMain(bound, version)
      const generation = read ? generationOf(read) : hints.get(version)
      found.push({ version, read, generation, current: version === metadata?.currentVersion })
    }
    return found
  }

  /** Also repairs the hint where an earlier call was cut off before it came to this. */
  async function noteGeneration(version: number, generation: number, bound: Bound): Promise<void> {
    const metadata = await client.kvMetadata(mount, path, bound)
    const generations = generationsFrom(metadata?.customMetadata[GENERATIONS_KEY])
    if (generations.get(version) === generation) return
    const kept = (metadata?.versions ?? []).filter((seen) => !seen.destroyed).map((seen) => seen.version)
    const alive = new Map([...generations].filter(([known]) => kept.includes(known))).set(version, generation)
    const custom = { ...metadata?.customMetadata, [GENERATIONS_KEY]: generationsText(alive) }
    await client.kvWriteCustomMetadata(mount, path, custom, bound)
  }

  /** The version that is current and shows nothing, because somebody deleted it; and what lay beside its value. */
  async function deletedVersion(bound: Bound) {
    const metadata = await client.kvMetadata(mount, path, bound)
    const last = metadata?.versions.find((seen) => seen.version === metadata.currentVersion)
    if (!last || !(last.deleted || last.destroyed)) return undefined
    const beside = field === undefined ? undefined : lastReadable(await mainVersions(metadata, bound))
    return { version: last.version, beside }
  }

  /**
   * A new main version with what `next` makes of the one that is current, but only once for each call key, wherever
   * that version is by now. Somebody may write between our look and our write: then we look again, never write blindly.
   * Undefined: `next` wants nothing written.
   */
  async function writeOnce(
    call: Call,
    next: (current: MainVersion | undefined) => Record<string, unknown> | undefined,
  ): Promise<number | undefined> {
    for (let turn = 0; turn < 5; turn++) {
      const metadata = await client.kvMetadata(mount, path, call)
      const versions = await mainVersions(metadata, call)
      const ours = versions.find((seen) => seen.read?.data.call_key === call.key)
      if (ours) return ours.version
      const cas = metadata?.currentVersion ?? 0
      const current = versions.find((seen) => seen.current)
      const data = next(current)
      if (!data) return undefined
      const beside = current?.read ?? lastReadable(versions)
      const version = await client.kvWrite(mount, path, toMain(data, field, beside), { ...call, cas })
      if (version !== 'mismatch') return version
    }
    // Retryable: what an emergency or a rollback asks for is tried until it is settled.
    throw new RekeyError('bad_response', `${where} changed under each of five tries of ${call.key}`)
  }

  return {
    kind: 'vault-kv',

    async stage(value, call) {
      const at = stagingPath(path, value.generation)
      const written = await client.kvWrite(mount, at, recordOf(value, call.key), { ...call, cas: 0 })
      if (written !== 'mismatch') return { ...value, storeVersion: STAGING }
      const there = await readStaging(value.generation, call)
      if (!there && (await isDestroyed(value.generation, call))) {
        throw new RekeyError(
          'value_lost',
          `generation ${value.generation} of ${where} was destroyed and is never staged again`,
        )
      }
      if (generationOf(there) !== value.generation || !there) {
        throw new RekeyError(
          'foreign_writer',
          `${mount}/${at} was written or deleted by somebody else, so generation ${value.generation} cannot be staged`,
        )
      }
      return readValueOf(there, STAGING, `${mount}/${at}`)
    },

    async read(generation, call) {
      const staged = await readStaging(generation, call)
      if (generationOf(staged) === generation && staged) return readValueOf(staged, STAGING, where)
      // A generation without a staging copy was adopted, or put back by `restore`.
      const versions = await mainVersions(await client.kvMetadata(mount, path, call), call)
      const main = versions.find((seen) => seen.read && seen.generation === generation)
      return main?.read && readValueOf(main.read, String(main.version), where)
    },

    async readCurrent(call) {
      const current = await readMain(call)
      return current && !isWithdrawn(current)
        ? readValueOf(current, String(current.version), where)
        : undefined
    },

    async readLive(call) {
      const found = await readRaw(call)
      if (!found || isWithdrawn(found)) return undefined
      return { value: liveValueIn(found.data, field, where), storeVersion: String(found.version) }
    },

    async readShown(call) {
      const found = await readRaw(call)
      const version = found?.version ?? (await client.kvMetadata(mount, path, call))?.currentVersion ?? 0
      const value = found && !isWithdrawn(found) ? shownValueIn(found.data, field) : undefined
      return { ...(version > 0 && { storeVersion: String(version) }), ...(value && { value }) }
    },

    async promote(generation, expected, call, over = []) {
      const current = await readMain(call)
      if (current && generationOf(current) === generation) {
        await noteGeneration(current.version, generation, call)
        return String(current.version)
      }
      const held = generationOf(current)
      const isGivenUp = held !== undefined && over.includes(held)
      const deleted = current || expected === undefined ? undefined : await deletedVersion(call)
      const shown = current?.version ?? deleted?.version
      if (String(shown) !== String(expected) && !isGivenUp) throw foreign(where, expected, current)
      const staged = await readStaging(generation, call)
      if (!staged) {
        throw new RekeyError('value_lost', `generation ${generation} of ${where} has no staging copy`)
      }
      // Checked as every value that is read: a staging copy that somebody replaced must not become current.
      const value = readValueOf(staged, STAGING, `${mount}/${stagingPath(path, generation)}`)
      if (value.generation !== generation) throw foreign(where, expected, staged)
      const cas = shown ?? 0
      const data = toMain(recordOf(value, call.key), field, current ?? deleted?.beside)
      const version = await client.kvWrite(mount, path, data, { ...call, cas })
      if (version === 'mismatch') {
        const now = await readMain(call)
        if (!now || generationOf(now) !== generation) throw foreign(where, expected, now)
        return String(now.version)
      }
      await noteGeneration(version, generation, call)
      return String(version)
    },

    async restore(value, call) {
      const version = await writeOnce(call, () => recordOf(value, call.key))
      if (version !== undefined) await noteGeneration(version, value.generation, call)
      return String(version)
    },

    async withdraw(generation, call) {
      const version = await writeOnce(call, (current) =>
        current?.read && current.generation === generation ? withdrawnOf(generation, call.key) : undefined,
      )
      return version === undefined ? undefined : String(version)
    },

    async destroy(generation, call) {
      const versions = await mainVersions(await client.kvMetadata(mount, path, call), call)
      const held = versions.filter((seen) => seen.generation === generation)
      if (held.some((seen) => seen.current && seen.read)) {
        throw new RekeyError(
          'not_allowed_now',
          `generation ${generation} is what readers of ${where} get; another must be current before it is destroyed`,
        )
      }
      const dead = held.map((seen) => seen.version)
      if (dead.length > 0) await client.kvDestroy(mount, path, dead, call)
      await bury(generation, call)
    },

    async list(call) {
      const versions = await mainVersions(await client.kvMetadata(mount, path, call), call)
      const previous = versions.find((seen) => !seen.current && seen.read)
      const main: ListedVersion[] = versions.map((seen) => ({
        storeVersion: String(seen.version),
        labels: seen.current ? ['current'] : seen === previous ? ['previous'] : [],
        ...(seen.generation !== undefined && { generation: seen.generation }),
      }))
      const names = await client.kvList(mount, stagingPath(path), call)
      const pending: ListedVersion[] = []
      for (const generation of names.filter((name) => /^[1-9]\d*$/.test(name)).map(Number)) {
        if (await isDestroyed(generation, call)) continue
        const promoted = main.some((seen) => seen.generation === generation)
        pending.push({ storeVersion: STAGING, labels: promoted ? [] : ['pending'], generation })
      }
      return [...main, ...pending]
    },
  }
}

type MainVersion = {
  version: number
  read: MainRecord | undefined
  generation: number | undefined
  current: boolean
}

function foreign(where: string, expected: string | undefined, found: KvVersion | undefined): RekeyError {
  const seen = found ? `version ${found.version}` : 'nothing'
  return new RekeyError(
    'foreign_writer',
    `${where} was to follow ${expected === undefined ? 'nothing' : `version ${expected}`}, but current is ${seen}`,
  )
}

/** Of a deleted version nothing can be read: what lay beside the value is taken from the one before. */
function lastReadable(newestFirst: readonly MainVersion[]): MainVersion['read'] {
  return newestFirst.find((seen) => seen.read)?.read
}
