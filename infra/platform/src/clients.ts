import { Agent, request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { ReadValue, Secret } from '@rekey/contracts'

export type Tally = {
  ok: number
  failed: number
  /** Streams that ran to their end, and those that were cut. */
  streamsOk: number
  streamsFailed: number
  /** Requests by the generation of the key that was presented. */
  byGeneration: Record<number, number>
  /** The first few failures, in words. */
  failures: string[]
}

export type ClientsOptions = {
  urls: string[]
  /** How the clients read the key, as any reader of the stores would. They take turns. */
  readers: (() => Promise<ReadValue | undefined>)[]
  /** How long a client keeps a value that it read. */
  cacheMs: number
  keepAlive: number
  streams: number
  /** Words of one stream, one each 100 ms. */
  streamTokens: number
  thinkMs: number
}

export type Clients = { tally: Tally; stop(): Promise<Tally> }

/** Clients with keep-alive connections, and long streams beside them, until stopped. Every answer is counted. */
export function startClients(options: ClientsOptions): Clients {
  const tally: Tally = { ok: 0, failed: 0, streamsOk: 0, streamsFailed: 0, byGeneration: {}, failures: [] }
  const stopping = new AbortController()
  const agents: Agent[] = []
  const client = (index: number, stream: boolean) => {
    const agent = new Agent({ keepAlive: true, maxSockets: options.urls.length })
    agents.push(agent)
    const key = cached(options, index)
    return run(index, stream, options, key, agent, tally, stopping.signal)
  }
  const running = [
    ...Array.from({ length: options.keepAlive }, (_, index) => client(index, false)),
    ...Array.from({ length: options.streams }, (_, index) => client(index, true)),
  ]
  return {
    tally,
    async stop() {
      stopping.abort()
      await Promise.all(running)
      for (const agent of agents) agent.destroy()
      return tally
    },
  }
}

type Key = () => Promise<{ generation: number; value: Secret } | undefined>

function cached({ readers, cacheMs }: ClientsOptions, index: number): Key {
  const read = readers[index % readers.length]
  let kept: ReadValue | undefined
  let readAt = Number.NEGATIVE_INFINITY
  return async () => {
    if (performance.now() - readAt >= cacheMs) {
      // A store that does not answer leaves us with what we have, as in any sane client.
      const startedAt = performance.now()
      kept = (await read?.().catch(() => undefined)) ?? kept
      readAt = startedAt
    }
    return kept
  }
}

async function run(
  index: number,
  stream: boolean,
  { urls, streamTokens, thinkMs }: ClientsOptions,
  key: Key,
  agent: Agent,
  tally: Tally,
  stopping: AbortSignal,
): Promise<void> {
  const body = JSON.stringify({ model: 'echo', messages: [], stream, max_tokens: stream ? streamTokens : 1 })
  for (let turn = index; !stopping.aborted; turn++) {
    const held = await key()
    const url = urls[turn % urls.length]
    if (!held || url === undefined) {
      await delay(50)
      continue
    }
    const failure = await ask(url, held.value, body, agent, stream).catch((error: Error) => error.message)
    tally.byGeneration[held.generation] = (tally.byGeneration[held.generation] ?? 0) + 1
    if (failure === undefined) tally[stream ? 'streamsOk' : 'ok']++
    else {
      tally[stream ? 'streamsFailed' : 'failed']++
      if (tally.failures.length < 10)
        tally.failures.push(`${url}: ${failure} (generation ${held.generation})`)
    }
    // A refused stream ends at once, and asking again without a pause would only keep the machine busy.
    if (!stream || failure !== undefined) await delay(thinkMs)
  }
}

/** Undefined: answered as it should, a stream to its `[DONE]`. */
function ask(
  url: string,
  key: Secret,
  body: string,
  agent: Agent,
  stream: boolean,
): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${key.reveal()}`, 'content-type': 'application/json' }
    const call = request(`${url}/v1/chat/completions`, { method: 'POST', agent, headers }, (response) => {
      let tail = ''
      response.on('data', (chunk) => {
        tail = (tail + chunk).slice(-64)
      })
      response.on('error', reject)
      response.on('end', () => {
        if (response.statusCode !== 200) return resolve(`status ${response.statusCode}`)
        resolve(stream && !tail.includes('[DONE]') ? 'the stream was cut' : undefined)
      })
    })
    call.on('error', reject)
    call.end(body)
  })
}
