import { expect, test } from 'vitest'
import { checkRoom } from './room.ts'

const NOW = Date.parse('2026-11-22T12:00:00Z')
const HOUR = 3_600_000
const versions = (count: number, ageMs: number, labels: string[] = []) =>
  Array.from({ length: count }, (_, n) => ({ versionId: `${ageMs}-${n}`, labels, createdAt: NOW - ageMs }))
const check =
  (marks: ReturnType<typeof versions>, isUrgent = false) =>
  () =>
    checkRoom('secret x', marks, isUrgent, NOW)

test('old versions without a label take no room: AWS removes them', () => {
  expect(check([...versions(95, 25 * HOUR), ...versions(20, HOUR)])).not.toThrow()
})

test('routine work leaves the last ten versions for emergencies', () => {
  const marks = versions(90, HOUR)
  expect(check(versions(89, HOUR))).not.toThrow()
  expect(check(marks)).toThrow(/90 versions .* the last 10 are kept for emergencies/)
  expect(check(marks, true)).not.toThrow()
  expect(check(versions(100, HOUR), true)).toThrow(/100 versions/)
})

test('says when there is room again', () => {
  const marks = [...versions(2, 20 * HOUR), ...versions(1, 10 * HOUR), ...versions(89, HOUR)]
  // Three of them have to go: the two that are twenty hours old, and then the next.
  expect(check(marks)).toThrow('there is room again at 2026-11-23T02:00:00.000Z')
})

test('labels are counted, too, whatever their versions’ age', () => {
  const labelled = (count: number) =>
    Array.from({ length: count }, (_, n) => ({ versionId: `v${n}`, labels: [`REKEY-${n}`], createdAt: 0 }))
  expect(check(labelled(16))).not.toThrow()
  expect(check(labelled(17))).toThrow(/17 labels, and AWS allows 20/)
  expect(check(labelled(17), true)).not.toThrow()
})

test('an error of it is one that heals by itself', () => {
  expect(check(versions(95, HOUR))).toThrow(
    expect.objectContaining({ code: 'quota_exhausted', retryable: true }),
  )
})
