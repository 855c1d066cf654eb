import { request } from 'node:http'
import { type UsesReport, UsesReport as UsesReportSchema } from '../../authorizer/admin.ts'
import { EntriesJson, type Part } from '../../authorizer/keys.ts'
import type { Entries } from '../key-map.ts'

const ANSWER_MS = 2_000
const ANSWER_MAX_BYTES = 4 * 1024 * 1024

/** What the agent tells and asks one authorizer, about one credential. Errors say what failed, never what was sent. */
export function authorizerClient(socketPath: string, credential: string) {
  const at = (what: Part | 'uses') => `/credentials/${credential}/${what}`

  function exchange(method: 'GET' | 'PUT', path: string, body?: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const fail = (why: string) =>
        reject(new Error(`authorizer at ${socketPath}, ${method} ${path}: ${why}`))
      const signal = AbortSignal.timeout(ANSWER_MS)
      const outgoing = request({ socketPath, method, path, signal, agent: false }, (incoming) => {
        const chunks: Buffer[] = []
        let bytes = 0
        incoming.on('data', (chunk: Buffer) => {
          bytes += chunk.length
          if (bytes > ANSWER_MAX_BYTES) outgoing.destroy(new Error('the answer is too large'))
          else chunks.push(chunk)
        })
        incoming.on('error', () => fail('the answer broke off'))
        incoming.on('end', () => {
          if ((incoming.statusCode ?? 500) < 300) resolve(Buffer.concat(chunks).toString('utf8'))
          else fail(`answered ${incoming.statusCode}`)
        })
      })
      outgoing.on('error', (error: NodeJS.ErrnoException) =>
        fail(signal.aborted ? `no answer within ${ANSWER_MS} ms` : (error.code ?? error.message)),
      )
      outgoing.end(body)
    })
  }

  return {
    async entries(part: Part): Promise<Entries> {
      return EntriesJson.parse(JSON.parse(await exchange('GET', at(part))))
    },
    async swap(part: Part, entries: Entries): Promise<void> {
      await exchange('PUT', at(part), JSON.stringify(Object.fromEntries(entries)))
    },
    async uses(): Promise<UsesReport> {
      return UsesReportSchema.parse(JSON.parse(await exchange('GET', at('uses'))))
    },
  }
}
