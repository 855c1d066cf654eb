import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises'
import type { AcceptedValue } from '@rekey/contracts'
import type { NodeAdapter } from './agent-code.ts'

/** Where a node's door is: `http://127.0.0.1:<port>/<name>/`. */
export type Place = { port: number; name: string }

/** What one node serves, over HTTP: an endpoint that takes a request if its bearer value is accepted now. */
export class Door {
  /** Values, with their generations. */
  #accepts = new Map<string, number>()
  #uses = new Map<number, { requests: number; lastAt: number | undefined }>()
  /** Work on this node takes so much longer. */
  slowMs = 0
  /** Its own path refuses these, as with a model server that cannot take them. */
  readonly refuses = new Set<number>()

  accept(values: Iterable<readonly [value: string, generation: number]>): void {
    this.#accepts = new Map(values)
    const kept = new Set(this.#accepts.values())
    this.#uses = new Map([...this.#uses].filter(([generation]) => kept.has(generation)))
  }

  get accepted(): ReadonlyMap<string, number> {
    return this.#accepts
  }

  knock(authorization: string | undefined): 200 | 401 {
    const generation = this.#accepts.get(authorization?.slice('Bearer '.length) ?? '')
    if (generation === undefined) return 401
    const use = this.#uses.get(generation) ?? { requests: 0, lastAt: undefined }
    this.#uses.set(generation, { requests: use.requests + 1, lastAt: performance.now() })
    return 200
  }

  /**
   * How the agent sees it. Its own tries do not go over HTTP: a thousand nodes do theirs at once, and we have one machine.
   * A try takes a turn of the loop all the same, so that what one host signs does not keep another one from refusing.
   */
  adapter(): NodeAdapter {
    return {
      kind: 'played',
      disruption: 'A',
      canTry: true,
      apply: async (accept: AcceptedValue[]) => {
        if (this.slowMs > 0) await delay(this.slowMs)
        this.accept(accept.map(({ value, generation }) => [value.reveal(), generation]))
      },
      drop: async (generations) =>
        this.accept([...this.#accepts].filter(([, generation]) => !generations.includes(generation))),
      tryValue: async (value) => {
        await turn()
        const generation = this.#accepts.get(value.reveal())
        return generation === undefined || this.refuses.has(generation) ? 'refused' : 'accepted'
      },
      usage: async () => {
        const now = performance.now()
        return [...this.#accepts.values()].map((generation) => {
          const { requests, lastAt } = this.#uses.get(generation) ?? { requests: 0, lastAt: undefined }
          return {
            generation,
            requests,
            inFlight: 0,
            lastUseAgeMs: lastAt === undefined ? null : now - lastAt,
          }
        })
      },
      close: async () => undefined,
    }
  }
}

/** Doors by name, `http://127.0.0.1:<port>/<name>/`, on one server for all nodes of a process. */
export async function serveDoors(doors: ReadonlyMap<string, Door>): Promise<number> {
  const server = createServer((request, response) => {
    const door = doors.get(request.url?.split('/', 2)[1] ?? '')
    response.writeHead(door?.knock(request.headers.authorization) ?? 404, { 'content-length': 0 }).end()
  })
  server.keepAliveTimeout = 600_000
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}
