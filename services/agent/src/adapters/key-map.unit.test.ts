import { expect, test } from 'vitest'
import { checkKeyId, generationOf, without } from './key-map.ts'

test.each([
  ['chat.g1', 1],
  ['chat.g12', 12],
  ['chat.g0', undefined],
  ['chat.g1x', undefined],
  ['chat2.g1', undefined],
  ['chat', undefined],
])('the generation of the key id %s is %s', (keyId, generation) => {
  expect(generationOf(keyId, 'chat')).toBe(generation)
})

test.each(['', 'a b', 'a\nb', 'x'.repeat(128)])('the key id %j is refused', (keyId) => {
  expect(() => checkKeyId(keyId)).toThrow('out of range')
})

test('what is dropped is dropped by its generation, and nothing else', () => {
  const entries = new Map([
    ['aa', 'chat.g1'],
    ['bb', 'chat.g2'],
    ['cc', 'other.g1'],
  ])
  expect([...without(entries, 'chat', [1]).values()]).toEqual(['chat.g2', 'other.g1'])
})
