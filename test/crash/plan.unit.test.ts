import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { type Passed, type Plan, passedFile, readPassed } from './plan.ts'

const folder = mkdtempSync(join(tmpdir(), 'rekey-plan-'))
afterAll(() => rmSync(folder, { recursive: true }))

test('a line that is only half there yet is not taken, and is taken when it is whole', () => {
  const plan: Plan = { id: 'p', credential: 'c', generation: 2, names: [], kills: [] }
  const point: Passed = { pid: 1, nth: 1, label: 'channel desired', occurrence: 1, side: 'before' }
  const line = `${JSON.stringify(point)}\n`
  expect(readPassed(folder, plan, 'fleet')).toEqual([])
  appendFileSync(passedFile(folder, plan, 'fleet'), line + line.slice(0, 20))
  expect(readPassed(folder, plan, 'fleet')).toEqual([point])
  appendFileSync(passedFile(folder, plan, 'fleet'), line.slice(20))
  expect(readPassed(folder, plan, 'fleet')).toEqual([point, point])
})
