import { Secret } from '@rekey/contracts'
import { describe, expect, test } from 'vitest'
import { signature } from '../test/payloads.ts'
import { isBearer, isSigned, looksSigned } from './proof.ts'

describe('a signature', () => {
  test("is the one of GitHub's own documentation", () => {
    const header = 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17'
    const secrets = [Secret.of("It's a Secret to Everybody")]
    expect(isSigned(Buffer.from('Hello, World!'), header, secrets)).toBe(true)
    expect(isSigned(Buffer.from('Hello, World?'), header, secrets)).toBe(false)
    expect(isSigned(Buffer.from('Hello, World!'), header, [Secret.of("it's a Secret to Everybody")])).toBe(
      false,
    )
  })

  const body = Buffer.from('{"zen":"Mind your words"}')
  const both = ['an old secret of theirs', 'a new secret of theirs'].map((text) => Secret.of(text))

  test('by any of the secrets counts, so that one can be replaced', () => {
    for (const secret of both) expect(isSigned(body, signature(body, secret.reveal()), both)).toBe(true)
    expect(isSigned(body, signature(body, 'another secret'), both)).toBe(false)
    expect(isSigned(body, signature(body, 'another secret'), [])).toBe(false)
  })

  const good = signature(body, both[0]?.reveal())
  test.each([
    ['none', undefined],
    ['an empty one', ''],
    ['the digest alone', good.slice(7)],
    ['of SHA-1', 'sha1=757107ea0eb2509fc211221cce984b8a37570b6d'],
    ['too short', good.slice(0, -2)],
    ['too long', `${good}00`],
    ['not hexadecimal', `sha256=${'z'.repeat(64)}`],
    ['two of them', `${good}, ${good}`],
    ['another one', `sha256=${'0'.repeat(64)}`],
  ])('%s is refused', (_what, header) => {
    expect(isSigned(body, header, both)).toBe(false)
  })

  test('that none could be is known before the body is read', () => {
    expect([good, undefined, 'sha256=', `sha1=${'0'.repeat(40)}`].map(looksSigned)).toEqual([
      true,
      false,
      false,
      false,
    ])
  })
})

test('a bearer token is one of the secrets, whole', () => {
  const secrets = ['a-token-of-theirs-1', 'a-token-of-theirs-2'].map((text) => Secret.of(text))
  const given = ['Bearer a-token-of-theirs-1', 'bearer a-token-of-theirs-2']
  expect(given.map((header) => isBearer(header, secrets))).toEqual([true, true])
  const wrong = [
    'Bearer a-token-of-theirs-',
    'Bearer a-token-of-theirs-12',
    'Basic a-token-of-theirs-1',
    'Bearer',
    '',
  ]
  for (const header of [...wrong, undefined]) expect(isBearer(header, secrets)).toBe(false)
  expect(isBearer('Bearer x', [])).toBe(false)
})
