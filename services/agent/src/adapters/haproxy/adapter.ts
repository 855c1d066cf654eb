import type { Usage } from '@rekey/contracts'
import { z } from 'zod'
import { bearerTry } from '../bearer-try.ts'
import { defineAdapter } from '../definition.ts'
import { entriesOf, entriesOfGraves, generationOf, without } from '../key-map.ts'
import type { NodeAdapter } from '../node-adapter.ts'
import { isTable, parseTable, parseUptimeMs } from './answers.ts'
import { haproxyMap } from './map.ts'
import { ask, StatsSocketError } from './stats-socket.ts'
import { lastUseAgeMs, readClients } from './table.ts'

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
  /** Counts by key id and address who uses accepted keys, where the configuration has such a table. */
  clientsTable: word.default('st_clients'),
  /** The map of dead keys as HAProxy names it. Without it nobody notices a request with one. */
  graveyard: word.optional(),
  graveyardFile: z.string().min(1).optional(),
  /** Counts by key id and address who presents dead keys. */
  knocksTable: word.default('st_knocks'),
  /** A path behind the key check that answers 2xx. */
  probeUrl: z.url({ protocol: /^https?$/ }),
})
export type HaproxyConfig = z.infer<typeof HaproxyConfig>

/** Swaps keys in HAProxy's memory: no reload, no dropped connection. HAProxy sees only hashes of them. */
export function haproxyAdapter(config: HaproxyConfig): NodeAdapter {
  const { socket, map, credential, graveyard } = config
  const keys = haproxyMap({ socket, map, file: config.mapFile ?? map })
  return {
    kind: 'haproxy',
    disruption: 'A',
    canTry: true,
    apply: (accept) => keys.swap(entriesOf(accept)),
    holds: (accept) => keys.holds(entriesOf(accept)),
    async drop(generations) {
      await keys.swap(without(await keys.entries(), credential, generations))
    },
    tryValue: (value) => bearerTry(config.probeUrl, value),
    async usage() {
      const answer = await ask(socket, `show table ${config.table}`)
      if (!isTable(answer)) throw new StatsSocketError('HAProxy refused "show table": unknown table')
      const usages: Usage[] = []
      for (const row of parseTable(answer)) {
        const generation = generationOf(row.keyId, credential)
        if (generation === undefined) continue
        const { inFlight, requests, failures } = row
        const counted = failures === undefined ? {} : { failures }
        usages.push({ generation, inFlight, lastUseAgeMs: lastUseAgeMs(row), requests, ...counted })
      }
      return usages
    },
    async countingAgeMs() {
      const age = parseUptimeMs(await ask(socket, 'show info'))
      if (age === undefined) throw new StatsSocketError('HAProxy did not say how long it runs')
      return age
    },
    clients: () => readClients(config, config.clientsTable),
    ...(graveyard !== undefined && noticesKnocks(config, graveyard)),
    async close() {},
  }
}

/** Dead keys, in a map of their own: refused like any other string, and counted. */
function noticesKnocks(config: HaproxyConfig, map: string): Required<Pick<NodeAdapter, 'bury' | 'knocks'>> {
  const dead = haproxyMap({ socket: config.socket, map, file: config.graveyardFile ?? map })
  const knocks = () => readClients(config, config.knocksTable)
  return {
    async bury(graves) {
      // A gateway that is configured as before this release has neither; half of it counts nothing.
      if (!(await dead.isThere()) || (await knocks()) === undefined) return false
      const entries = entriesOfGraves(graves)
      if (!(await dead.holds(entries))) await dead.swap(entries)
      return true
    },
    knocks,
  }
}

export const haproxyDefinition = defineAdapter({
  config: HaproxyConfig,
  claims: ({ map, graveyard, mapFile, graveyardFile }) => [
    ...[map, graveyard].flatMap((name) => (name === undefined ? [] : [`map ${name}`])),
    ...[mapFile, graveyardFile].flatMap((file) => (file === undefined ? [] : [`path ${file}`])),
  ],
  resolved: (config, at) => ({
    ...config,
    socket: at(config.socket),
    // `map` names the map to HAProxy, so it stays as written.
    mapFile: at(config.mapFile ?? config.map),
    ...(config.graveyard !== undefined && { graveyardFile: at(config.graveyardFile ?? config.graveyard) }),
  }),
  make: haproxyAdapter,
})
