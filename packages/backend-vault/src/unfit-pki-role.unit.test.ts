import { expect, test } from 'vitest'
import { unfitPkiRole } from './unfit-pki-role.ts'

const place = { mount: 'pki-workloads', role: 'shop' }
const good = { keyType: 'ec', noStore: false, generateLease: false, backdated: 30 }
const crl = { disabled: false, autoRebuild: false }

test('a role that makes keys, and whose certificates are kept and can be revoked, suits', () => {
  for (const keyType of ['ec', 'rsa', 'ed25519'])
    expect(unfitPkiRole({ ...good, keyType }, crl, place)).toBeUndefined()
  expect(unfitPkiRole(good, { ...crl, autoRebuild: true }, place)).toBeUndefined()
})

test.each([
  [{ keyType: 'any' }, {}, 'vault write pki-workloads/roles/shop key_type=ec key_bits=256'],
  [{ noStore: true }, {}, 'vault write pki-workloads/roles/shop no_store=false'],
  [{ generateLease: true }, {}, 'vault write pki-workloads/roles/shop generate_lease=false'],
  [{}, { disabled: true }, 'vault write pki-workloads/config/crl disable=false'],
])(
  'a role with %j and a CRL with %j does not, and the message has the command',
  (role, settings, command) => {
    expect(unfitPkiRole({ ...good, ...role }, { ...crl, ...settings }, place)).toContain(command)
  },
)
