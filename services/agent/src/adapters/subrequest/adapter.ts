import type { ClientUse, Usage } from '@rekey/contracts'
import { z } from 'zod'
import type { UsesReport } from '../../authorizer/admin.ts'
import { bearerTry } from '../bearer-try.ts'
import { defineAdapter } from '../definition.ts'
import { entriesOf, entriesOfGraves, generationOf, sameEntries, without } from '../key-map.ts'
import type { NodeAdapter } from '../node-adapter.ts'
import { authorizerClient } from './authorizer-client.ts'
import { Totals } from './totals.ts'

export const SubrequestConfig = z.strictObject({
  credential: z.string().min(1),
  kind: z.literal('subrequest'),
  /** The admin sockets of the authorizers that NGINX asks: all of them, because it asks any. */
  authorizers: z.array(z.string().min(1)).min(1).max(8),
  /** A path behind the key check that answers 2xx. */
  probeUrl: z.url({ protocol: /^https?$/ }),
})
export type SubrequestConfig = z.infer<typeof SubrequestConfig>

/** Swaps keys in the memory of the authorizers that a gateway asks for each request: no reload, no dropped connection. */
export function subrequestAdapter({
  credential,
  authorizers: sockets,
  probeUrl,
}: SubrequestConfig): NodeAdapter {
  const authorizers = sockets.map((socket) => authorizerClient(socket, credential))
  const each = async <T>(
    work: (authorizer: (typeof authorizers)[number], at: number) => Promise<T>,
  ): Promise<T[]> => Promise.all(authorizers.map(work))
  // Each counts by itself and begins anew by itself: only so their sum never goes back, and never forward by what was counted long ago.
  const totals = sockets.map(() => new Totals())
  const reports = () =>
    each(async (authorizer, at) => {
      const report = await authorizer.uses()
      return { ...report, keys: totals[at]?.of(report) ?? report.keys }
    })

  return {
    kind: 'subrequest',
    disruption: 'A',
    canTry: true,
    async apply(accept) {
      await each((authorizer) => authorizer.swap('keys', entriesOf(accept)))
    },
    async holds(accept) {
      const held = await each((authorizer) => authorizer.entries('keys'))
      return held.every((entries) => sameEntries(entries, entriesOf(accept)))
    },
    async drop(generations) {
      await each(async (authorizer) =>
        authorizer.swap('keys', without(await authorizer.entries('keys'), credential, generations)),
      )
    },
    /** One request reaches one authorizer: what is refused must be so by each, also by one that the configuration forgot. */
    async tryValue(value) {
      for (let turn = 1; ; turn += 1) {
        const seen = await bearerTry(probeUrl, value)
        if (seen !== 'refused' || turn >= 2 * authorizers.length) return seen
      }
    },
    async usage() {
      return sumByKey(
        (await reports()).map(({ keys }) => keys),
        credential,
      )
    },
    /** Of the one that has counted for the shortest time: what it forgot, no other one knows. */
    async countingAgeMs() {
      return Math.min(...(await reports()).map(({ upMs }) => upMs))
    },
    async clients() {
      return sumByAddress(
        (await reports()).map(({ clients }) => clients),
        credential,
      )
    },
    async bury(graves) {
      await each((authorizer) => authorizer.swap('graves', entriesOfGraves(graves)))
      return true
    },
    async knocks() {
      return sumByAddress(
        (await reports()).map(({ knocks }) => knocks),
        credential,
      )
    },
    async close() {},
  }
}

const youngest = (a: number | null, b: number | null) => (a === null ? b : b === null ? a : Math.min(a, b))

function sumByKey(reports: UsesReport['keys'][], credential: string): Usage[] {
  const sums = new Map<number, Usage>()
  // One that has just started has heard of no end yet.
  const isCounted = reports.flat().some(({ failures }) => failures !== undefined)
  for (const { keyId, inFlight, requests, lastUseAgeMs, failures = 0 } of reports.flat()) {
    const generation = generationOf(keyId, credential)
    if (generation === undefined) continue
    const other = sums.get(generation)
    sums.set(generation, {
      generation,
      inFlight: inFlight + (other?.inFlight ?? 0),
      lastUseAgeMs: youngest(lastUseAgeMs, other?.lastUseAgeMs ?? null),
      requests: requests + (other?.requests ?? 0),
      ...(isCounted && { failures: failures + (other?.failures ?? 0) }),
    })
  }
  return [...sums.values()]
}

function sumByAddress(reports: UsesReport['clients'][], credential: string): ClientUse[] {
  const sums = new Map<string, ClientUse>()
  for (const { keyId, address, requests, lastUseAgeMs } of reports.flat()) {
    const generation = generationOf(keyId, credential)
    if (generation === undefined) continue
    const other = sums.get(`${generation} ${address}`)
    sums.set(`${generation} ${address}`, {
      generation,
      address,
      requests: requests + (other?.requests ?? 0),
      lastUseAgeMs: Math.min(lastUseAgeMs, other?.lastUseAgeMs ?? Number.POSITIVE_INFINITY),
    })
  }
  return [...sums.values()]
}

export const subrequestDefinition = defineAdapter({
  config: SubrequestConfig,
  // An authorizer keeps the keys of each credential apart.
  claims: () => [],
  resolved: (config, at) => ({ ...config, authorizers: config.authorizers.map(at) }),
  make: subrequestAdapter,
})
