import { readIfPresent, writeDurably } from '@rekey/runtime'
import { mapText, parseMap, parseMapText, parsePreparedVersion } from './answers.ts'
import { ask, StatsSocketError, tell } from './stats-socket.ts'

/** Hash of a value → key id. */
export type Entries = Map<string, string>

/** Key ids become a part of command lines on the stats socket. */
export function checkKeyId(keyId: string): string {
  if (!/^[A-Za-z0-9._-]{1,127}$/.test(keyId))
    throw new StatsSocketError('a key id has characters out of range')
  return keyId
}

const same = (a: Entries, b: Entries) =>
  a.size === b.size && [...a].every(([hash, keyId]) => b.get(hash) === keyId)

/** One map of HAProxy: in its memory, and in the file that it reads when it starts. */
export function haproxyMap({ socket, map, file }: { socket: string; map: string; file: string }) {
  return {
    /** The file goes first: what we said once must not be undone by a reload. */
    async swap(entries: Entries): Promise<void> {
      await writeDurably(file, mapText(entries), 0o640)
      const version = parsePreparedVersion(await ask(socket, `prepare map ${map}`))
      if (version === undefined) throw new StatsSocketError('HAProxy refused "prepare map": unknown map')
      for (const [hash, keyId] of entries) await tell(socket, `add map @${version} ${map} ${hash} ${keyId}`)
      await tell(socket, `commit map @${version} ${map}`)
    },
    async holds(entries: Entries): Promise<boolean> {
      const onDisk = parseMapText((await readIfPresent(file)) ?? '')
      return same(onDisk, entries) && same(parseMap(await ask(socket, `show map ${map}`)), entries)
    },
    async entries(): Promise<Entries> {
      return parseMap(await ask(socket, `show map ${map}`))
    },
    async isThere(): Promise<boolean> {
      return !/^Unknown map/m.test(await ask(socket, `show map ${map}`))
    },
  }
}
