import type { Progress } from './cache.ts'
import { CommandFailed, find, run } from './command.ts'
import { Complaint } from './complaint.ts'

let queue: Promise<unknown> = Promise.resolve()

/** Installs Debian packages and returns the path of `tool`. Parts of the set-up run side by side; apt does not. */
export function installPackages(
  packages: readonly string[],
  tool: string,
  progress: Progress,
): Promise<string>
export function installPackages(
  packages: readonly string[],
  tool: undefined,
  progress: Progress,
): Promise<undefined>
export function installPackages(
  packages: readonly string[],
  tool: string | undefined,
  progress: Progress,
): Promise<string | undefined> {
  const result = queue.then(() => install(packages, tool, progress))
  queue = result.catch(() => {})
  return result
}

async function install(packages: readonly string[], tool: string | undefined, progress: Progress) {
  const names = packages.join(' ')
  const already = tool && findTool(tool)
  if (already) return already
  const apt = find('apt-get')
  if (!apt || !(await mayInstall()))
    throw new Complaint(
      `${tool ?? names} is missing: install ${names} with your package manager, and try again.`,
    )
  progress(`installing ${names} with apt-get (up to a minute)`)
  const settings = ['DEBIAN_FRONTEND=noninteractive', apt, '-o', 'DPkg::Lock::Timeout=300']
  const aptGet = (...args: string[]) => asRoot('env', ...settings, ...args)
  // Mirrors drop connections now and then, and apt-get itself does not try a failed package again.
  const attempt = () => aptGet('install', '--yes', '--no-install-recommends', ...packages)
  try {
    // Without fresh lists the package may still be found in the old ones.
    await aptGet('update').catch(() => aptGet('update').catch(() => {}))
    await attempt().catch(attempt)
  } catch (error) {
    throw new Complaint(
      `apt-get could not install ${names}: install it by hand, or see that this machine reaches its mirror ` +
        `(${error instanceof CommandFailed ? error.message : error}).`,
    )
  }
  const path = tool && findTool(tool)
  if (tool && !path)
    throw new Complaint(`apt-get installed ${names}, but ${tool} is not on PATH: add its folder to PATH.`)
  return path
}

/** The path of a tool, from this machine or from its package manager. */
export async function ensureTool(
  tool: string,
  packages: readonly string[],
  onProgress: Progress = () => {},
): Promise<string> {
  return findTool(tool) ?? installPackages(packages, tool, onProgress)
}

/** Debian puts servers into sbin, which is not on a user's PATH. */
export function findTool(tool: string): string | undefined {
  return find(tool, ['/usr/local/sbin', '/usr/sbin', '/sbin'])
}

function asRoot(command: string, ...args: string[]): Promise<string> {
  return process.getuid?.() === 0 ? run(command, args) : run('sudo', ['-n', command, ...args])
}

function mayInstall(): Promise<boolean> {
  return asRoot('true').then(
    () => true,
    () => false,
  )
}
