import { createServer } from 'node:http'

/** A named readiness check: resolves when well, throws when not. */
export type Check = { name: string; run: () => Promise<void> }

const CHECK_MS = 2_000

/** `GET /healthz` answers while the process lives; `GET /readyz` runs the checks: 200, or 503 naming what fails. */
export async function serveHealth(options: { port: number; host?: string; checks: Check[] }): Promise<{
  port: number
  close(): Promise<void>
}> {
  const server = createServer((request, response) => {
    const reply = (status: number, body: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    }
    if (request.url === '/healthz') return reply(200, { status: 'ok' })
    if (request.url !== '/readyz') return reply(404, { error: 'not found' })
    void Promise.all(options.checks.map(judge)).then((results) => {
      const failed = results.filter((name) => name !== undefined)
      reply(failed.length === 0 ? 200 : 503, { status: failed.length === 0 ? 'ready' : 'not ready', failed })
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, options.host ?? '127.0.0.1', resolve)
  })
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : options.port,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

/** The check's name if it fails or takes too long. */
async function judge(check: Check): Promise<string | undefined> {
  const late = new Promise<never>((_, reject) => setTimeout(reject, CHECK_MS, new Error('timeout')).unref())
  return Promise.race([check.run(), late]).then(
    () => undefined,
    () => check.name,
  )
}
