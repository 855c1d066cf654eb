import { once } from 'node:events'
import { readFileSync, statSync } from 'node:fs'
import { mkdtemp, readFile, readlink, rm } from 'node:fs/promises'
import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '@rekey/local'

/** Applications that take their keys from files, as short as such a one can be. */

const LOOK_MS = 50

const answer: RequestListener = (request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://application')
  if (pathname === '/stream') void stream(response, Number(searchParams.get('n')))
  else response.end('{}')
}

async function stream(response: ServerResponse, tokens: number): Promise<void> {
  response.setHeader('content-type', 'text/event-stream')
  for (let token = 1; token <= tokens; token += 1) {
    response.write(`data: ${token}\n\n`)
    await delay(100)
  }
  response.end('data: [DONE]\n\n')
}

/** Lets in who has a key of its file, and reads that again when another one is there under the name. */
export async function startKeyFileApplication() {
  const dir = await mkdtemp(join(tmpdir(), 'rekey-keys-'))
  const path = join(dir, 'keys.json')
  let keys = new Set<string>()
  let read = 0
  const load = () => {
    const file = statSync(path, { throwIfNoEntry: false })
    if (!file || file.ino === read) return
    const { accept } = JSON.parse(readFileSync(path, 'utf8')) as { accept: { value: string }[] }
    keys = new Set(accept.map(({ value }) => `Bearer ${value}`))
    read = file.ino
  }
  const server = createServer((request, response) => {
    load()
    if (!keys.has(request.headers.authorization ?? '')) return response.writeHead(401).end()
    answer(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const probeUrl = `${url}/v1/models`
  return {
    url,
    probeUrl,
    adapter: { kind: 'file', format: 'json', path, probeUrl },
    async stop() {
      server.close()
      server.closeAllConnections()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

/** Shows the certificate of its folder to who connects, and looks there again and again. */
export async function startCertificateApplication() {
  const folder = await mkdtemp(join(tmpdir(), 'rekey-tls-'))
  const port = await freePort()
  let server: TlsServer | undefined
  let now = ''
  let isOver = false
  const load = async () => {
    const set = await readlink(join(folder, '..data')).catch(() => '')
    if (set === '' || set === now) return
    const [cert, key] = await Promise.all(
      ['tls.crt', 'tls.key'].map((name) => readFile(join(folder, set, name))),
    )
    now = set
    if (server) return server.setSecureContext({ cert, key })
    server = createTlsServer({ cert, key }, answer)
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  }
  const loading = (async () => {
    while (!isOver) {
      // The files may change again while they are read.
      await load().catch(() => {})
      await delay(LOOK_MS)
    }
  })()
  return {
    folder,
    address: `127.0.0.1:${port}`,
    async stop() {
      isOver = true
      await loading
      server?.close()
      server?.closeAllConnections()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
