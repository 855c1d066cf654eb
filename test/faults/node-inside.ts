import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Secret } from '@rekey/contracts'
import { forget, watch } from '@rekey/local'
import type { GatewayOptions } from '@rekey/platform'
import type { Namespace } from './namespace.ts'

const INSIDE = new URL('inside.ts', import.meta.url).pathname
const AGENT = new URL('../../services/agent/src/main.ts', import.meta.url).pathname

/** A gateway and its agent inside a namespace, as somebody sees them who is inside as well. */
export type NodeInside = {
  /** What the gateway answers to a client beside it. */
  knock(value: Secret): Promise<number | string>
  /** What `rekey-agent status` says there: its exit code, and its words as JSON. */
  status(): Promise<{ code: number; session: number | null; accept: number[] }>
  stop(): Promise<void>
}

export async function startInside(
  ns: Namespace,
  options: Omit<GatewayOptions, 'modelPort'>,
): Promise<NodeInside> {
  const [command = '', ...args] = [...ns.prefix, process.execPath, INSIDE]
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], detached: true })
  const exited = once(child, 'exit')
  const { pid } = child
  if (pid === undefined) throw new Error(`${command} cannot be started`)
  watch(`group ${pid} KILL`)
  exited.finally(() => forget(`group ${pid} KILL`))
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const tell = async (line: string) => {
    child.stdin.write(`${line}\n`)
    const { value, done } = await answers.next()
    if (done) throw new Error('what runs inside the namespace has ended')
    return JSON.parse(value)
  }
  await tell(JSON.stringify(options))
  // One at a time, so that each gets its own answer.
  let last: Promise<unknown> = Promise.resolve()
  return {
    knock(value) {
      const answer = last.then(() => tell(value.reveal()))
      last = answer.catch(() => undefined)
      return answer
    },
    status: () =>
      new Promise((resolve) => {
        const config = join(options.dir, options.name, 'agent.json')
        const asked = [AGENT, 'status', '--json', '--config', config]
        const status = execFile(process.execPath, asked, (_error, stdout) => {
          const { session = null, credentials = [] } = JSON.parse(stdout || '{}')
          resolve({ code: status.exitCode ?? -1, session, accept: credentials[0]?.accept ?? [] })
        })
      }),
    async stop() {
      child.stdin.end()
      await exited
    },
  }
}
