import { spawn } from 'node:child_process'

/** What a command finds of the agent's environment: nothing. */
const ENVIRONMENT = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C' }

/**
 * Runs a command to its end, and whatever it started with it. Neither what it is given nor what it says passes through here: a server
 * that complains of its configuration quotes the line that it does not like, and a value may be in that.
 */
export async function runQuietly(argv: readonly string[], timeoutMs: number): Promise<void> {
  const [program = '', ...args] = argv
  const child = spawn(program, args, { cwd: '/', env: ENVIRONMENT, stdio: 'ignore', detached: true })
  let late = false
  const timer = setTimeout(() => {
    late = true
    try {
      // The group: the child of a shell would go on.
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // It has just ended.
    }
  }, timeoutMs)
  const how = await new Promise<string | undefined>((resolve) => {
    child.once('error', ({ code }: NodeJS.ErrnoException) => resolve(`could not be started (${code})`))
    child.once('exit', (code, signal) => {
      if (late) resolve(`took longer than ${timeoutMs} ms`)
      else if (signal) resolve(`was ended by ${signal}`)
      else resolve(code === 0 ? undefined : `ended with exit code ${code}`)
    })
  }).finally(() => clearTimeout(timer))
  if (how !== undefined) throw new Error(`${program} ${how}: run it by hand to see why`)
}
