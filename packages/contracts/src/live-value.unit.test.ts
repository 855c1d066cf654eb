import { describe, expect, test } from 'vitest'
import { CredentialSpec, StoreSpec } from './configuration.ts'
import { RekeyError } from './errors.ts'
import { liveValueIn, othersIn } from './live-value.ts'
import { bitsAtMost } from './possession.ts'
import { Secret } from './secret.ts'

const CANARY = 'canary-4f9a1c77-value'

function refusal(fields: Record<string, unknown>, field?: string): string {
  try {
    liveValueIn(fields, field, 'the secret')
  } catch (error) {
    if (!RekeyError.is(error) || error.code !== 'not_adoptable') throw error
    return error.message
  }
  return 'taken'
}

describe('the value among the fields that somebody else wrote', () => {
  test('is all that there is, or the one that the store names', () => {
    expect(liveValueIn({ value: CANARY }, undefined, 'x').reveal()).toBe(CANARY)
    expect(liveValueIn({ username: 'shop', password: CANARY }, 'password', 'x').reveal()).toBe(CANARY)
  })

  test.each<[string, Record<string, unknown>, string | undefined, RegExp]>([
    ['other fields without saying so', { value: CANARY, username: 'u' }, undefined, /say "field: value"/],
    ['no such field', { username: 'u', password: CANARY }, undefined, /none is called value/],
    ['nothing at all', {}, undefined, /no field value/],
    ['not the field that is named', { key: CANARY }, 'password', /no field password/],
    ['a number', { value: 7 }, undefined, /no text/],
    ['fields below it', { value: { password: CANARY } }, undefined, /no text/],
    ['an empty text', { value: '' }, undefined, /empty/],
    ['too much', { value: CANARY.repeat(4_000) }, undefined, /more than 64 KiB/],
    ['a note of ours', { value: CANARY, generation: 'x' }, undefined, /generation, where Rekey keeps/],
    [
      "another Rekey's value",
      { value: CANARY, generation: 7, key_id: 'k.g7' },
      undefined,
      /generation 7 of a Rekey/,
    ],
  ])('is refused where it has %s, in words without a value', (_, fields, field, why) => {
    const said = refusal(fields, field)
    expect(said).toMatch(why)
    expect(said).not.toContain('canary')
  })

  test('has others beside it, without our notes', () => {
    const fields = {
      username: 'u',
      password: 'p',
      generation: 1,
      key_id: 'k',
      call_key: 'c',
      withdrawn: true,
    }
    expect(othersIn(fields, 'password')).toEqual({ username: 'u' })
  })
})

describe('the bits that a value has at the most', () => {
  test.each([
    ['hunter2hunter2', false],
    ['aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', false],
    ['', false],
    ['4f9a1c77d2e84b03a6155be0c98f7d21', true],
    ['sk-8Jd0aKq2LmZx7VbN4tRw', true],
  ])('%s is enough: %s', (text, enough) => {
    expect(bitsAtMost(Secret.of(text)) >= 128).toBe(enough)
  })
})

describe('documents', () => {
  const inbound = {
    workload: 'chat',
    purpose: 'api',
    direction: 'inbound',
    authority: { kind: 'nodes', endpoints: [{ name: 'gw', url: 'http://127.0.0.1:1/' }] },
    stores: [{ name: 'vault', kind: 'vault-kv', path: 'a/b' }],
    firstValue: 'adopt',
  }

  test('say of whom an existing value is adopted, and which way there is instead', () => {
    expect(CredentialSpec.safeParse(inbound).success).toBe(true)
    const outbound = CredentialSpec.safeParse({
      ...inbound,
      direction: 'outbound',
      authority: { kind: 'aws-iam-access-key', user: 'rekey' },
    })
    expect(outbound.error?.issues).toMatchObject([
      {
        path: ['firstValue'],
        message: expect.stringContaining('Rekey makes a key of its own beside the one that there is'),
      },
    ])
  })

  test('name the field of a value, and none of our own', () => {
    const store = { name: 'vault', kind: 'vault-kv', path: 'a/b' }
    expect(StoreSpec.safeParse({ ...store, field: 'password' }).success).toBe(true)
    for (const field of ['generation', 'key_id', 'rekey', '', 'a b'])
      expect(StoreSpec.safeParse({ ...store, field }).success, field).toBe(false)
  })
})
