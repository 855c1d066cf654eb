import { expect, test } from 'vitest'
import { credentialsFile, parseCredentialsFile, rootKey } from './aws.ts'

test('a credentials file is read as it was written', () => {
  const key = rootKey()
  expect(key.id).toMatch(/^AKIA[A-Z2-7]{16}$/)
  expect(key.secret).toHaveLength(40)
  expect(parseCredentialsFile(credentialsFile(key))).toEqual(key)
})

test('half a key is none', () => {
  expect(parseCredentialsFile('[default]\naws_access_key_id = AKIAX\n')).toBeUndefined()
  expect(parseCredentialsFile('')).toBeUndefined()
})
