import { expect, test } from 'vitest'
import { proofPublicKey, readProofKey, Secret, signStatement, verifyStatement } from './index.ts'

const value = Secret.of('a value of enough bits')
const statement = (credential: string, generation: number) => ({
  credential,
  generation,
  revision: 4,
  node: 'spiffe://rekey.local/node/gw-1',
  session: 2,
  boot: 'b',
  nonce: 'n',
})

test('one value proves another key for each credential and generation, however often it is asked', () => {
  const about = [statement('chat', 1), statement('chat', 2), statement('mail', 1)]
  const keys = about.map(({ credential, generation }) => proofPublicKey(value, credential, generation))
  expect(new Set(keys).size).toBe(3)
  for (const one of [...about, ...about]) {
    const signature = signStatement(value, one)
    expect(keys.map((key) => verifyStatement(key, one, signature))).toEqual(about.map((a) => a === one))
  }
})

test('a key that was read once checks like its text; what is no key checks nothing', () => {
  const one = statement('chat', 1)
  const text = proofPublicKey(value, 'chat', 1)
  const key = readProofKey(text)
  if (!key) throw new Error('no key')
  expect(verifyStatement(key, one, signStatement(value, one))).toBe(true)
  expect(verifyStatement(key, { ...one, nonce: 'other' }, signStatement(value, one))).toBe(false)
  expect(readProofKey('no key')).toBeUndefined()
  expect(verifyStatement('no key', one, signStatement(value, one))).toBe(false)
})
