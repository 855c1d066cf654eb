import { randomBytes } from 'node:crypto'
import { rolePairAuthority } from '@rekey/backend-postgres'
import { Secret } from '@rekey/contracts'
import { makeRolePair } from '@rekey/local'
import { memorySecret, memoryStore, startTcpFaultProxy } from '@rekey/testing'
import type { Hands } from '../src/act.ts'
import type { World } from './act-bench.ts'

/** A fresh pair of roles on the real server, and stores in memory. Only the way to the server is broken. */
export async function onRolePair(url: string): Promise<World> {
  const made = await makeRolePair(url, `act_${randomBytes(5).toString('hex')}`)
  const server = new URL(url)
  const proxy = await startTcpFaultProxy({ host: server.hostname, port: Number(server.port) })
  const secrets = [memorySecret(), memorySecret()]
  const hands = (through: (text: string) => string): Hands => {
    const stores = secrets.map((secret, n) => ({
      name: n === 0 ? 'first' : 'second',
      store: memoryStore(secret),
    }))
    const authority = rolePairAuthority(
      {
        pair: made.pair,
        owner: made.owner,
        connection: 'act',
        endpoints: [{ name: 'primary', url: through(made.endpoint) }],
      },
      { connection: () => Secret.of(through(made.connection)) },
    )
    return { stores, proberStores: stores, authority }
  }
  const broken = (text: string) => {
    const way = new URL(text)
    way.port = String(proxy.port)
    return way.href
  }
  return {
    mine: hands(broken),
    other: hands((text) => text),
    ways: [
      {
        faults: {
          loseReply: (nth) => proxy.arm(nth, { kind: 'lose-reply' }),
          loseRequest: (nth) => proxy.arm(nth, { kind: 'lose-request' }),
          meanwhile: (nth, act) => proxy.arm(nth, { kind: 'meanwhile', act }),
          heal: () => proxy.heal(),
        },
        get count() {
          return proxy.count
        },
      },
    ],
    async close() {
      await proxy.close()
      await made.drop()
    },
  }
}
