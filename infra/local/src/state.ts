import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startTime } from './process-group.ts'
import type { Server, ServerName } from './server.ts'
import type { Stack } from './stack.ts'

/** What `pnpm stack status` and `down` know about the stack of a folder. Holds paths of secrets, and no secret. */
export type State = {
  launcher: { pid: number; began: string }
  ready: boolean
  env: Record<string, string>
  identities: string
  vaultRootTokenFile: string
  awsAdminCredentialsFile: string
  servers: { name: ServerName; origin: Server['origin'] }[]
}

const file = (dir: string) => join(dir, 'stack.json')

export async function writeState(dir: string, stack?: Stack, identities = ''): Promise<void> {
  const state: State = {
    launcher: { pid: process.pid, began: await startTime(process.pid) },
    ready: stack !== undefined,
    env: stack?.env ?? {},
    identities,
    vaultRootTokenFile: stack?.vault.rootTokenFile ?? '',
    awsAdminCredentialsFile: stack?.aws.adminCredentialsFile ?? '',
    servers: Object.values(stack?.servers ?? {}).map(({ name, origin }) => ({ name, origin })),
  }
  // Whoever reads meanwhile sees the old state or the new one.
  const fresh = `${file(dir)}.${process.pid}`
  await writeFile(fresh, `${JSON.stringify(state, undefined, 2)}\n`, { mode: 0o600 })
  await rename(fresh, file(dir))
}

/** The state of a stack whose launcher lives. A file that cannot be read as one is not there yet. */
export async function readState(dir: string): Promise<State | undefined> {
  const text = await readFile(file(dir), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const state = parse(text)
  if (!state) return undefined
  return (await startTime(state.launcher.pid)) === state.launcher.began ? state : undefined
}

function parse(text: string): State | undefined {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export async function endLauncher(dir: string): Promise<boolean> {
  const state = await readState(dir)
  if (!state) return false
  process.kill(state.launcher.pid, 'SIGTERM')
  const deadline = performance.now() + 20_000
  while ((await readState(dir)) && performance.now() < deadline) await delay(50)
  if (await readState(dir)) process.kill(state.launcher.pid, 'SIGKILL')
  return true
}
