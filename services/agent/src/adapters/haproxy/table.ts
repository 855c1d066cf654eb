import type { ClientUse } from '@rekey/contracts'
import { generationOf } from '../key-map.ts'
import { clientOf, isTable, type KeyCounters, parseTable } from './answers.ts'
import { ask } from './stats-socket.ts'

/** The `expire` of the stick tables in examples/haproxy: HAProxy allows at most 24.8 days. */
const TABLE_EXPIRE_MS = 24 * 86_400_000

export const lastUseAgeMs = ({ expiresInMs }: KeyCounters) => Math.max(0, TABLE_EXPIRE_MS - expiresInMs)

/** A table whose keys are `<key id>@<address>`. Undefined: there is no such table, or it is too large to be read. */
export async function readClients(
  { socket, credential }: { socket: string; credential: string },
  table: string,
): Promise<ClientUse[] | undefined> {
  const answer = await ask(socket, `show table ${table}`)
  if (!isTable(answer)) return undefined
  const uses = new Map<string, ClientUse>()
  for (const row of parseTable(answer)) {
    const client = clientOf(row.keyId)
    const generation = client && generationOf(client.keyId, credential)
    if (!client || generation === undefined) continue
    const { address } = client
    // One client may come in by an IPv4 and by an IPv6 socket.
    const other = uses.get(`${generation} ${address}`)
    uses.set(`${generation} ${address}`, {
      generation,
      address,
      requests: row.requests + (other?.requests ?? 0),
      lastUseAgeMs: Math.min(lastUseAgeMs(row), other?.lastUseAgeMs ?? Number.POSITIVE_INFINITY),
    })
  }
  return [...uses.values()]
}
