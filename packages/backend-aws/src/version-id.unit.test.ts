import { expect, test } from 'vitest'
import { emptyVersion, generationVersion, restoreVersion, uuidV5 } from './version-id.ts'

test('makes UUIDs of version 5 and variant 1', () => {
  for (const name of ['a', 'b', 'prod/chat|7|stage', '']) {
    expect(uuidV5(name)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  }
})

test('is the same in every process, for ever: what is in AWS was named by it', () => {
  expect(generationVersion('prod/chat/api-key', 7)).toBe('aa556bf0-3290-5013-ac0f-eee148f0807d')
  expect(restoreVersion('prod/chat/api-key', 'r1.restore.aws')).toBe('1ac9f859-844d-5f30-816e-6332b9e4e48e')
  expect(emptyVersion('prod/chat/api-key')).toBe('d016bfd5-143d-5b85-a22e-fcb0bb0b23fc')
})
