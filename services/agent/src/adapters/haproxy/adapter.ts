import { createHash } from 'node:crypto'
import type { AcceptedValue, Usage } from '@rekey/contracts'
import { z } from 'zod'
import { readIfPresent, writeDurably } from '../../durable-file.ts'
import { bearerTry } from '../bearer-try.ts'
import type { NodeAdapter } from '../node-adapter.ts'
import {
  generationOf,
  mapText,
  parseMap,
  parseMapText,
  parsePreparedVersion,
  parseTable,
  parseUptimeMs,
} from './answers.ts'
import { ask, StatsSocketError, tell } from './stats-socket.ts'

/** The `expire` of the stick table in examples/haproxy: HAProxy allows at most 24.8 days. */
const TABLE_EXPIRE_MS = 24 * 86_400_000

const word = z.string().regex(/^[^\s;\\]+$/, 'must not contain spaces, ";" or "\\"')

export const HaproxyConfig = z.strictObject({
  credential: z.string().min(1),
  kind: z.literal('haproxy'),
  /** The stats socket, level admin. */
  socket: z.string().min(1),
  /** The map as HAProxy names it: the path in its configuration. */
  map: word,
  /** The same file as the agent sees it, where that differs. */
  mapFile: z.string().min(1).optional(),
  table: word.default('st_keys'),
  /** A path behind the key check that answers 2xx. */
  probeUrl: z.url({ protocol: /^https?$/ }),
})
export type HaproxyConfig = z.infer<typeof HaproxyConfig>

function entriesOf(accept: AcceptedValue[]): Map<string, string> {
  const entries = new Map<string, string>()
  for (const { keyId, value } of accept) {
    // The id becomes part of a command line on the stats socket.
    if (!/^[A-Za-z0-9._-]{1,127}$/.test(keyId))
      throw new StatsSocketError('a key id has characters out of range')
    entries.set(createHash('sha256').update(value.reveal()).digest('hex'), keyId)
  }
  return entries
}

const sameEntries = (a: Map<string, string>, b: Map<string, string>) =>
  a.size === b.size && [...a].every(([hash, keyId]) => b.get(hash) === keyId)

/** Swaps keys in HAProxy's memory: no reload, no dropped connection. HAProxy sees only hashes of them. */
export function haproxyAdapter(config: HaproxyConfig): NodeAdapter {
  const { socket, map } = config
  const mapFile = config.mapFile ?? map

  /** The file goes first: once we say that a key is refused, not even a reload may bring it back. */
  async function swap(entries: Map<string, string>): Promise<void> {
    await writeDurably(mapFile, mapText(entries), 0o640)
    const version = parsePreparedVersion(await ask(socket, `prepare map ${map}`))
    if (version === undefined) throw new StatsSocketError('HAProxy refused "prepare map": unknown map')
    for (const [hash, keyId] of entries) await tell(socket, `add map @${version} ${map} ${hash} ${keyId}`)
    await tell(socket, `commit map @${version} ${map}`)
  }

  return {
    kind: 'haproxy',
    disruption: 'A',
    canTry: true,
    apply: (accept) => swap(entriesOf(accept)),
    async holds(accept) {
      const wanted = entriesOf(accept)
      const file = parseMapText((await readIfPresent(mapFile)) ?? '')
      return sameEntries(file, wanted) && sameEntries(parseMap(await ask(socket, `show map ${map}`)), wanted)
    },
    async drop(generations) {
      const entries = parseMap(await ask(socket, `show map ${map}`))
      for (const [hash, keyId] of entries) {
        const generation = generationOf(keyId, config.credential)
        if (generation !== undefined && generations.includes(generation)) entries.delete(hash)
      }
      await swap(entries)
    },
    tryValue: (value) => bearerTry(config.probeUrl, value),
    async usage() {
      const answer = await ask(socket, `show table ${config.table}`)
      if (!answer.startsWith('# table:'))
        throw new StatsSocketError('HAProxy refused "show table": unknown table')
      const usages: Usage[] = []
      for (const row of parseTable(answer)) {
        const generation = generationOf(row.keyId, config.credential)
        if (generation === undefined) continue
        usages.push({
          generation,
          inFlight: row.inFlight,
          lastUseAgeMs: Math.max(0, TABLE_EXPIRE_MS - row.expiresInMs),
          requests: row.requests,
        })
      }
      return usages
    },
    async countingAgeMs() {
      const age = parseUptimeMs(await ask(socket, 'show info'))
      if (age === undefined) throw new StatsSocketError('HAProxy did not say how long it runs')
      return age
    },
    async close() {},
  }
}
