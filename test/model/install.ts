import { execFile } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

const exec = promisify(execFile)

/** The path of a tool on PATH. */
export function find(tool: string): string | undefined {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, tool)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {}
  }
  return undefined
}

let ready: Promise<{ spin: string; cc: string }> | undefined

/** Spin and a C compiler, from this machine or from its package manager. */
export function ensureSpin(): Promise<{ spin: string; cc: string }> {
  ready ??= ensure()
  return ready
}

async function ensure() {
  const missing = [find('spin') ? [] : ['spin'], find('gcc') ? [] : ['gcc', 'libc6-dev']].flat()
  if (missing.length > 0) await install(missing)
  const [spin, cc] = [find('spin'), find('gcc')]
  if (!spin || !cc) throw new Error(`spin or gcc is not on PATH after installing ${missing.join(' ')}.`)
  return { spin, cc }
}

async function install(packages: string[]) {
  const names = packages.join(' ')
  const advice = `${names} is missing: install it with your package manager, and try again`
  if (!find('apt-get')) throw new Error(`${advice}.`)
  process.stderr.write(`installing ${names} with apt-get\n`)
  const asRoot = process.getuid?.() === 0 ? [] : ['sudo', '-n']
  const settings = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-o', 'DPkg::Lock::Timeout=300']
  const apt = (...args: string[]) => {
    const [command = '', ...rest] = [...asRoot, ...settings, ...args]
    return exec(command, rest)
  }
  const attempt = () => apt('install', '--yes', '--no-install-recommends', ...packages)
  try {
    // Without fresh lists the package may still be found in the old ones. Mirrors drop connections now and then.
    await apt('update').catch(() => {})
    await attempt().catch(attempt)
  } catch (error) {
    throw new Error(`${advice} (${error instanceof Error ? error.message.split('\n')[0] : error}).`)
  }
}
