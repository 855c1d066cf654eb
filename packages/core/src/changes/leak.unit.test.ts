import { expect, test } from 'vitest'
import { judgeLeak, type KnownCredential, type Leak } from './leak.ts'

const known: KnownCredential = { current: 2, last: 3, movedAt: 1_000, isRetired: false, isRotating: false }
const leak: Leak = { type: 'credential.leaked', credential: 'key', where: 'a build log', at: 2_000 }

test.each<[string, Partial<KnownCredential>, Partial<Leak>, object]>([
  ['of the one in use', {}, { generation: 2 }, { kind: 'leaked', compromised: [2] }],
  ['that names none, seen while the one in use was', {}, {}, { kind: 'leaked', compromised: [2] }],
  ['that names none, of a first value', { movedAt: null }, {}, { kind: 'leaked', compromised: [2] }],
  ['that names none and no time', {}, { at: undefined } as never, { kind: 'leaked', compromised: [2] }],
  [
    'of what a rotation is ending',
    { isRotating: true },
    { generation: 1 },
    { kind: 'leaked', compromised: [1] },
  ],
  ['that names none, while two may be in use', { isRotating: true }, {}, { kind: 'leaked', compromised: [] }],
  [
    'of a dead one',
    {},
    { generation: 1 },
    { kind: 'no-change', reason: expect.stringContaining('1 of key is dead') },
  ],
  ['of one that was given up', {}, { generation: 3 }, { kind: 'no-change' }],
  ['that names none, from before the one in use', {}, { at: 999 }, { kind: 'no-change' }],
  ['of what was offboarded', { isRetired: true }, {}, { kind: 'no-change' }],
  ['of a credential that has no value', { current: null, last: 0 }, {}, { kind: 'no-change' }],
  ['of a generation that never was', {}, { generation: 4 }, { kind: 'unknown-credential' }],
])('a report %s', (_name, more, about, expected) => {
  const { at, ...rest } = { ...leak, ...about }
  const report = at === undefined ? rest : { ...rest, at }
  expect(judgeLeak({ ...known, ...more }, report)).toMatchObject(expected)
})

test('a report of a credential that there is not', () => {
  expect(judgeLeak(undefined, leak)).toMatchObject({ kind: 'unknown-credential' })
})
