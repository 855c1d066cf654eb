import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

/** Three in the morning, rehearsed. Its servers are its own, and its gateways have the ports of the example. */
test('a pasted key is known, replaced and dead: in quiet, half-way through a rotation, without Kafka and Redis', async () => {
  const main = new URL('../../infra/demo/src/drill/main.ts', import.meta.url).pathname
  const ran = promisify(execFile)(process.execPath, ['--no-warnings', main, 'leaked-key', '--json'], {
    maxBuffer: 1e7,
  })
  // A check that fails is told on stdout too.
  const { stdout } = await ran.catch((error) => {
    if (error.stdout) return error
    throw error
  })
  const { checks }: { checks: { name: string; ok: boolean; seen: string }[] } = JSON.parse(stdout)
  // How fast the answer came is the drill's own question: a test says nothing of a busy machine.
  const judged = checks.filter(({ name }) => !name.endsWith('in time'))
  expect(judged.filter(({ ok }) => !ok)).toEqual([])
  expect(judged).toHaveLength(21)
})
