import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'

/** What must not outlive this process; the words are those that reaper.sh reads. */
export type Entry =
  | `group ${number} ${'KILL' | 'QUIT'}`
  | `directory ${string}`
  | `compose ${string} ${string}`

const script = fileURLToPath(new URL('reaper.sh', import.meta.url))
const entries = new Set<Entry>()
let reaper: ChildProcess | undefined

/** Hands `entry` to a process that ends it as soon as this one is gone, even by SIGKILL. */
export function watch(entry: Entry): void {
  entries.add(entry)
  tell(reaper ?? startReaper(), entry)
}

export function forget(entry: Entry): void {
  if (entries.delete(entry) && reaper) tell(reaper, `forget ${entry}`)
}

function startReaper(): ChildProcess {
  // Its own session: a signal to the launcher's process group (Ctrl-C) must not take the reaper along.
  const child = spawn('/bin/sh', [script], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
  reaper = child
  child.unref()
  ;(child.stdin as Socket).unref()
  child.stdin?.on('error', () => {})
  child.on('exit', () => {
    reaper = undefined
    if (entries.size > 0) for (const entry of entries) tell(reaper ?? startReaper(), entry)
  })
  return child
}

function tell(child: ChildProcess, line: string): void {
  child.stdin?.write(`${line}\n`)
}
