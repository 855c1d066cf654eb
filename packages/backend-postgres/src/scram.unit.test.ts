import { expect, test } from 'vitest'
import { verifierOf, verifies } from './scram.ts'

test('makes what RFC 7677 keeps of its example', () => {
  expect(verifierOf('pencil', Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'))).toBe(
    'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
  )
})

test('salts each verifier, and knows whose it is', () => {
  const [one, other] = [verifierOf('pencil'), verifierOf('pencil')]
  expect(one).not.toBe(other)
  expect([one, other].map((verifier) => verifies(verifier, 'pencil'))).toEqual([true, true])
  expect(verifies(one, 'pencils')).toBe(false)
  expect(verifies('md5abc', 'pencil')).toBe(false)
})
