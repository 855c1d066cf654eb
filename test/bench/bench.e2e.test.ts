import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { FIGURE_NAMES } from './bench.ts'

/** That every figure can be measured; how fast says `pnpm bench`, on a machine that does nothing else. */
test('each figure is measured, in sizes that only show that it works', async () => {
  const main = new URL('main.ts', import.meta.url).pathname
  const argv = ['--no-warnings', main, '--quick', '--json', ...FIGURE_NAMES]
  // Servers of its own: what other tests do to theirs, such as flushing Redis, is no figure's fault.
  const env = { ...process.env, DATABASE_URL: undefined, REDIS_URL: undefined }
  const { stdout } = await promisify(execFile)(process.execPath, argv, { env, maxBuffer: 1e7 })
  const { figures }: { figures: { name: string; tables: { rows: string[][] }[] }[] } = JSON.parse(stdout)
  expect(figures.map((figure) => figure.name)).toEqual(FIGURE_NAMES)
  for (const { name, tables } of figures)
    for (const { rows } of tables) {
      expect(rows.length, name).toBeGreaterThan(0)
      expect(rows.flat().join(' '), name).not.toMatch(/NaN|Infinity|undefined/)
    }
  // Classes A and B promise that a change fails no request.
  const [changed] = figures.find(({ name }) => name === 'adapters')?.tables ?? []
  expect(changed?.rows.filter(([, kind, , , , failed]) => kind !== 'C' && failed !== '0')).toEqual([])
  // What Rekey paces is never refused, and a rotation asks for no more than it is said to.
  const [calls, paced] = figures.find(({ name }) => name === 'quota')?.tables ?? []
  expect(paced?.rows[0]?.at(-1)).toBe('0')
  expect(
    Object.fromEntries(calls?.rows.map(([backend, ...counts]) => [backend, counts]) ?? []),
  ).toMatchObject({
    'aws-secrets-manager': ['4', '3', '7'],
    'aws-secrets-manager, one replica': ['5', '3', '8'],
    'vault-kv': ['6', '7', '13'],
    'aws-iam-access-key': ['5', '6', '11'],
  })
})
