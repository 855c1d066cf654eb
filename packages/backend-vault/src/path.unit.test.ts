import { RekeyError } from '@rekey/contracts'
import { expect, test } from 'vitest'
import { vaultPath } from './path.ts'

test('joins the parts of a path', () => {
  expect(vaultPath('secret', 'data', 'prod/chat.v2/api_key')).toBe('secret/data/prod/chat.v2/api_key')
})

test.each([
  '..',
  'a/../b',
  'a..b',
  'a?version=1',
  'a#b',
  'a%2e%2e',
  '',
  'a//b',
  '/a',
  'a/',
  'a b',
  'a\nb',
  '.a',
  'ä',
])('refuses %j, which would reach another endpoint or none', (part) => {
  expect(() => vaultPath('secret', 'data', part)).toThrow(RekeyError)
})
