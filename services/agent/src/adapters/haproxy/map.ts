import { readIfPresent, writeDurably } from '@rekey/runtime'
import { type Entries, sameEntries } from '../key-map.ts'
import { mapText, parseMap, parseMapText, parsePreparedVersion } from './answers.ts'
import { ask, StatsSocketError, tell } from './stats-socket.ts'

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
      return (
        sameEntries(onDisk, entries) && sameEntries(parseMap(await ask(socket, `show map ${map}`)), entries)
      )
    },
    async entries(): Promise<Entries> {
      return parseMap(await ask(socket, `show map ${map}`))
    },
    async isThere(): Promise<boolean> {
      return !/^Unknown map/m.test(await ask(socket, `show map ${map}`))
    },
  }
}
