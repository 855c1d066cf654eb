import { expect, test } from 'vitest'
import { type StaticRoleSeen, unfitStaticPair } from './unfit-static-pair.ts'

const one = {
  role: 'rekey-a',
  username: 'shop_a',
  database: 'shop',
  credentialType: 'password',
  rotationPeriod: 7_776_000,
}
const other = { ...one, role: 'rekey-b', username: 'shop_b' }

test.each<[facts: Partial<StaticRoleSeen>, says: RegExp | undefined]>([
  [{}, undefined],
  [{ rotationPeriod: 8_000_000 }, undefined],
  [
    { rotationPeriod: 7_775_999 },
    /every 7775999 s, .*: vault write db\/static-roles\/rekey-b rotation_period=7776000s, or a shorter rotationPeriod$/,
  ],
  [{ credentialType: 'rsa_private_key' }, /type rsa_private_key/],
  [{ username: 'shop_a' }, /rekey-a and rekey-b are static roles of one user, shop_a/],
  [{ database: 'elsewhere' }, /of the connection shop, and rekey-b of elsewhere/],
])('a pair whose second has %j', (facts, says) => {
  const why = unfitStaticPair([one, { ...other, ...facts }], { mount: 'db', periodMs: 7_776_000_000 })
  if (says) expect(why).toMatch(says)
  else expect(why).toBeUndefined()
})

test('a schedule is none of ours', () => {
  const { rotationPeriod, ...scheduled } = one
  const why = unfitStaticPair([scheduled, other], { mount: 'db', periodMs: rotationPeriod * 1000 })
  expect(why).toMatch(/password of rekey-a by a schedule/)
})
