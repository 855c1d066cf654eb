import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Stage } from '../stage.ts'

const MAIN = fileURLToPath(import.meta.resolve('@rekey/cli/main'))

/** `rekey`, as a process of its own. */
export async function rekey(
  { platform }: Stage,
  argv: string[],
  input = '',
): Promise<{ exit: number; out: string; err: string }> {
  const { url, tokenFile } = platform.control
  const env = { PATH: process.env.PATH, USER: 'on-call', REKEY_URL: url, REKEY_TOKEN_FILE: tokenFile }
  const child = spawn(process.execPath, [MAIN, ...argv], { env, stdio: 'pipe' })
  child.stdin.end(input)
  const exit = new Promise<number>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve(code ?? 1))
  })
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { exit: await exit, out, err }
}
