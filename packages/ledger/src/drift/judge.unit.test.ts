import type { SeenStore } from '@rekey/contracts'
import { expect, test } from 'vitest'
import { type GovernedStore, judgeStore } from './judge.ts'

const governed: GovernedStore = { generation: 2, storeVersion: '6', fingerprint: 'hmac-2' }
const seen = (storeVersion: string | null, fingerprint: string | null = 'hmac-2'): SeenStore => ({
  store: 'vault',
  storeVersion,
  hasValue: true,
  fingerprint,
})
const nothing = (storeVersion: string | null): SeenStore => ({
  store: 'vault',
  storeVersion,
  hasValue: false,
  fingerprint: null,
})

test.each<[string, SeenStore, GovernedStore, number | null, string]>([
  ['the version that Rekey wrote', seen('6'), governed, 2, 'governed'],
  ['the same, with no fingerprints', seen('6', null), governed, null, 'governed'],
  [
    'the same, where none was made of it so far',
    seen('6', 'hmac-x'),
    { ...governed, fingerprint: null },
    null,
    'governed',
  ],
  ['the same number with another value', seen('6', 'hmac-x'), governed, null, 'foreign'],
  ['a value that nobody knows', seen('7', 'hmac-x'), governed, null, 'foreign'],
  ['another version, with no fingerprints', seen('7', null), governed, null, 'foreign'],
  ['an older generation', seen('5', 'hmac-1'), governed, 1, 'other-generation'],
  ['the right value by another hand', seen('7'), governed, 2, 'rewritten'],
  ['a version without a value', nothing('7'), governed, null, 'missing'],
  ['nothing at all', nothing(null), governed, null, 'missing'],
])('%s', (_, look, wrote, shows, kind) => {
  const verdict = judgeStore(look, wrote, shows)
  expect(verdict.state === 'drifted' ? verdict.kind : verdict.state).toBe(kind)
  if (verdict.state === 'drifted')
    expect(verdict).toMatchObject({
      governed: '6',
      seen: 'error' in look ? undefined : look.storeVersion,
      shows,
    })
})

test('what cannot be read is unknown, and no drift', () => {
  expect(judgeStore({ store: 'aws', error: 'throttled: later' }, governed, null)).toEqual({
    store: 'aws',
    state: 'unknown',
    error: 'throttled: later',
  })
})
