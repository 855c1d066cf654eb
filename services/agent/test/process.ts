import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

/** A service as its own process, with its log lines. */
export type ServiceProcess = {
  child: ChildProcess
  lines: string[]
  /** Resolves with the exit code, or null where a signal ended it. */
  exited: Promise<number | null>
  kill(signal?: NodeJS.Signals): Promise<number | null>
}

export function startProcess(
  script: string,
  args: string[],
  env: Record<string, string> = {},
): ServiceProcess {
  const child = spawn(process.execPath, [script, ...args], {
    env: { ...process.env, LOG_LEVEL: 'info', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    let rest = ''
    stream.on('data', (chunk: string) => {
      const parts = (rest + chunk).split('\n')
      rest = parts.pop() ?? ''
      lines.push(...parts)
    })
  }
  const exited = once(child, 'exit').then(([code]) => code as number | null)
  return {
    child,
    lines,
    exited,
    async kill(signal = 'SIGTERM') {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal)
      return exited
    },
  }
}

export const AGENT = new URL('../src/main.ts', import.meta.url).pathname
export const FLEET = new URL('../../fleet/src/main.ts', import.meta.url).pathname
