import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { forget, watch } from './reaper.ts'

export type CommandOptions = { cwd?: string; env?: NodeJS.ProcessEnv; user?: { uid: number; gid: number } }

export class CommandFailed extends Error {
  override readonly name = 'CommandFailed'
  readonly output: string
  constructor(command: string, how: string, output: string) {
    super(`${command} ${how}: ${lastLine(output)}`)
    this.output = output
  }
}

/** Runs a tool to its end and returns what it printed on both streams. It dies with this process, children included. */
export function run(command: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      ...options.user,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const entry = child.pid === undefined ? undefined : (`group ${child.pid} KILL` as const)
    if (entry) watch(entry)
    let output = ''
    const collect = (chunk: Buffer) => {
      output = (output + chunk).slice(-100_000)
    }
    child.stdout?.on('data', collect)
    child.stderr?.on('data', collect)
    child.on('error', (error) => {
      if (entry) forget(entry)
      reject(new CommandFailed(command, 'could not be run', error.message))
    })
    child.on('close', (code, signal) => {
      if (entry) forget(entry)
      if (code === 0) resolve(output)
      else reject(new CommandFailed(command, signal ? `was ended by ${signal}` : `failed (${code})`, output))
    })
  })
}

/** The full path of a tool on PATH. */
export function find(tool: string, extra: readonly string[] = []): string | undefined {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), ...extra]) {
    const path = join(folder, tool)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {}
  }
  return undefined
}

export function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1)?.trim() ?? ''
}
