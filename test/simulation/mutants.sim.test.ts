import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { MUTANTS } from './mutants.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

test.each(MUTANTS)('the place of a planted bug is still there: $name', ({ file, search }) => {
  expect(readFileSync(ROOT + file, 'utf8').split(search)).toHaveLength(2)
})

test.each([
  'no confirmation after the promotion',
  'an outcome of an older attempt is accepted',
  'three generations at once',
])('a planted bug is found: %s', (name) => {
  const args = ['test/simulation/mutate.ts', '--only', name, '--seeds', '300']
  const said = execFileSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' })
  expect(said).toContain('1 of 1 planted bugs found')
})
