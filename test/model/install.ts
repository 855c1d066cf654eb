import { ensureTool } from '@rekey/local'

let ready: Promise<{ spin: string; cc: string }> | undefined

/** Spin and a C compiler, from this machine or from its package manager. */
export function ensureSpin(): Promise<{ spin: string; cc: string }> {
  ready ??= ensure()
  return ready
}

async function ensure() {
  const say = (line: string) => process.stderr.write(`${line}\n`)
  const spin = await ensureTool('spin', ['spin'], say)
  return { spin, cc: await ensureTool('gcc', ['gcc', 'libc6-dev'], say) }
}
