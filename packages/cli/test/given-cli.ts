import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { JournalEntry } from '@rekey/ledger'
import { run } from '../src/run.ts'

export const TOKEN = 'a-token-that-only-tests-know'

export type Seen = { method: string; url: string; headers: IncomingMessage['headers']; body: unknown }
type Answer = (seen: Seen, response: ServerResponse) => unknown

/** A control that answers as it is told, and the command line beside it. */
export async function givenCli(answers: Record<string, Answer | object> = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'rekey-cli-'))
  const tokenFile = join(dir, 'token')
  writeFileSync(tokenFile, `${TOKEN}\n`, { mode: 0o600 })
  const seen: Seen[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const text = Buffer.concat(chunks).toString()
    const url = request.url ?? ''
    const at: Seen = {
      method: request.method ?? '',
      url,
      headers: request.headers,
      body: text === '' ? undefined : JSON.parse(text),
    }
    seen.push(at)
    const answer = answers[`${at.method} ${url.split('?')[0]}`]
    const body =
      typeof answer === 'function'
        ? await (answer as Answer)(at, response)
        : (answer ?? problem(response, 404, 'not_found', `no ${url}`))
    if (body !== undefined) response.setHeader('content-type', 'application/json').end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
  return {
    dir,
    url,
    seen,
    tokenFile,
    file(name: string, text: string | object): string {
      const path = join(dir, name)
      writeFileSync(path, typeof text === 'string' ? text : JSON.stringify(text))
      return path
    },
    async rekey(
      argv: string[],
      more: { env?: NodeJS.ProcessEnv; input?: string | Uint8Array; colour?: boolean } = {},
    ) {
      const out: string[] = []
      const err: string[] = []
      const exit = await run(argv, {
        out: (text) => out.push(text),
        err: (text) => err.push(text),
        input: async () => Buffer.from(more.input ?? ''),
        hiddenInput: async () => Buffer.from(more.input ?? ''),
        env: { REKEY_URL: url, REKEY_TOKEN_FILE: tokenFile, USER: 'ana', ...more.env },
        colour: more.colour ?? false,
      })
      return { exit, out: out.join('\n'), err: err.join('\n') }
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      rmSync(dir, { recursive: true })
    },
  }
}

export function problem(response: ServerResponse, status: number, code: string, detail: string, more = {}) {
  response.statusCode = status
  return { type: `urn:rekey:error:${code}`, title: code, status, code, detail, remedy: 'Do better.', ...more }
}

let position = 0
export const entry = (type: string, data: object = {}): JournalEntry => ({
  position: ++position,
  stream: 'rotation/key-g2',
  seq: position,
  type,
  data: { ...data },
  actor: 'rekey',
  at: '2026-11-21T10:00:01.000Z',
})

/** Sends entries, and the end where there is an outcome; otherwise the stream stays open. */
export const stream =
  (entries: object[], outcome?: string): Answer =>
  (_seen, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(': watching\n\n')
    for (const one of entries) response.write(`event: journal\ndata: ${JSON.stringify(one)}\n\n`)
    if (outcome !== undefined)
      response.end(`event: end\ndata: ${JSON.stringify({ outcome, exceptions: [] })}\n\n`)
    return undefined
  }
