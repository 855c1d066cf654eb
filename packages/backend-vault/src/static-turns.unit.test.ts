import { expect, test } from 'vitest'
import { idleRoles, isLastOf, nameOf, roleIn } from './static-turns.ts'

const roles = ['a', 'b']
const shown = ['a/5', 'b/5']

test.each<[why: string, keyIds: Record<number, string>, generation: number, idle: string[]]>([
  ['nothing was kept', {}, 1, ['a', 'b']],
  ['the other one is in use', { 1: 'a/5' }, 2, ['b']],
  ['the other one is in use, the second way', { 1: 'a/3', 2: 'b/5' }, 3, ['a']],
  ['a successor was given up', { 1: 'a/5', 2: 'b/4' }, 3, ['b']],
  ['both are in use', { 1: 'a/5', 2: 'b/5' }, 3, []],
  // A later attempt: what an earlier one made is that of the same generation.
  ['this generation has it already', { 1: 'a/5', 2: 'b/5' }, 2, ['b']],
  [
    'neither is in use: whoever has missed the end is logged in as the latest',
    { 1: 'a/3', 2: 'b/4' },
    3,
    ['a', 'b'],
  ],
  ['the only one was ended', { 1: 'a/4' }, 2, ['b', 'a']],
])('where %s, the next has a role of its own', (_, keyIds, generation, idle) => {
  expect(idleRoles(generation, shown, { roles, keyIds })).toEqual(idle)
})

test('sessions are of the last generation that had the role', () => {
  const turns = { roles, keyIds: { 1: 'a/1', 2: 'b/2', 3: 'a/3' } }
  expect([1, 2, 3, 4].map((generation) => isLastOf(generation, turns))).toEqual([false, true, true, false])
})

test('a name says whose password it is, and when it was made', () => {
  const name = nameOf('rekey-a', '2026-11-22T15:37:01.108191811Z')
  expect(name).toBe('rekey-a/2026-11-22T15:37:01.108191811Z')
  expect(roleIn(name)).toBe('rekey-a')
})
