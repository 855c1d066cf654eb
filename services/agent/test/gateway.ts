import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** A gateway in front of a model server that answers everything; `/slow?ms=N` takes N ms, `/stream?n=N` sends N tokens. */
export type Gateway = {
  url: string
  /** A path behind the key check. */
  probeUrl: string
  /** What the agent's configuration says about it, without the credential. */
  adapter: Record<string, unknown>
  /** A folder of its own, removed at the end. */
  dir: string
  /** Ends all of it at once: what is in memory is gone. */
  kill(): Promise<void>
  start(): Promise<void>
  restart(): Promise<void>
  stop(): Promise<void>
}

/** A server that is started and killed as often as a test wants. */
export function restartable(
  command: string,
  args: string[],
  env: Record<string, string>,
  isUp: () => Promise<boolean>,
) {
  let child: ChildProcess | undefined
  return {
    async start(): Promise<void> {
      child = spawn(command, args, { env: { ...process.env, ...env }, stdio: 'ignore' })
      for (let tries = 0; !(await isUp()); tries += 1) {
        if (tries > 300 || child.exitCode !== null) throw new Error(`${command} does not come up`)
        await sleep(20)
      }
    },
    async kill(): Promise<void> {
      const old = child
      child = undefined
      if (!old || old.exitCode !== null) return
      const ended = once(old, 'exit')
      old.kill('SIGKILL')
      await ended
    },
    /** SIGSTOP, or SIGCONT. */
    signal: (signal: NodeJS.Signals) => child?.kill(signal),
  }
}

/** Answers 401 to what it does not let in. */
export async function startModel(
  letsIn: (request: IncomingMessage) => boolean = () => true,
): Promise<{ address: string; stop(): void }> {
  const server = createServer((request, response) => {
    if (!letsIn(request)) return response.writeHead(401).end()
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://model')
    if (pathname === '/stream') return stream(response, Number(searchParams.get('n')))
    const answer = () => {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ headers: request.headers }))
    }
    const ms = Number(searchParams.get('ms') ?? 0)
    if (ms > 0) setTimeout(answer, ms)
    else answer()
  })
  server.keepAliveTimeout = 120_000
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    address: `127.0.0.1:${port}`,
    stop() {
      server.close()
      server.closeAllConnections()
    },
  }
}

/** One token each 100 ms. */
async function stream(response: ServerResponse, tokens: number): Promise<void> {
  response.setHeader('content-type', 'text/event-stream')
  for (let token = 1; token <= tokens; token += 1) {
    response.write(`data: ${token}\n\n`)
    await sleep(100)
  }
  response.end('data: [DONE]\n\n')
}

export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(port, '127.0.0.1')
    probe.on('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.on('error', () => resolve(false))
  })
}

/** A configuration with its variables replaced, as `envsubst` does. */
export async function filledIn(path: string, values: Record<string, string>): Promise<string> {
  const template = await readFile(path, 'utf8')
  return template.replace(/\$\{([A-Z_0-9]+)\}/g, (all, name: string) => values[name] ?? all)
}
