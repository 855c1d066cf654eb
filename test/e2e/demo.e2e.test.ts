import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

/** The README's first command. Its servers are its own, and its gateways have the ports of the example. */
test('the demo ends with every check passed', async () => {
  const main = new URL('../../infra/demo/src/main.ts', import.meta.url).pathname
  const { stdout } = await promisify(execFile)(process.execPath, ['--no-warnings', main, '--json'], {
    maxBuffer: 1e7,
  })
  const verdict = JSON.parse(stdout)
  expect(verdict.checks.filter((check: { ok: boolean }) => !check.ok)).toEqual([])
  expect(verdict.checks).toHaveLength(6)
})
