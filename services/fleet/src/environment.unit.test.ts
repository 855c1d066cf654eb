import { expect, test } from 'vitest'
import { Environment } from './environment.ts'

const needed = {
  ...{ DATABASE_URL: 'postgres://x', REDIS_URL: 'redis://x', VAULT_ADDR: 'http://127.0.0.1:8200' },
  ...{ VAULT_ROLE_ID_FILE: 'r', VAULT_SECRET_ID_FILE: 's', FLEET_CA_FILE: 'ca.pem' },
  ...{ FLEET_PORT: '7443', FLEET_ENROL_PORT: '7444' },
}
const FLEET_SVID_BUNDLE_FILE = 'bundle.pem'
const FLEET_SVID_ID = 'spiffe://prod.example/rekey/{workload}/{node}'
const faults = (more: object) =>
  Environment.safeParse({ ...needed, ...more }).error?.issues.map(
    ({ path, message }) => `${path}: ${message}`,
  )

test('SVIDs are taken where both the bundle and the ID are given, and neither is taken alone', () => {
  expect(Environment.parse(needed).FLEET_SVID_ID).toBeUndefined()
  expect(Environment.parse({ ...needed, FLEET_SVID_BUNDLE_FILE, FLEET_SVID_ID }).FLEET_SVID_ID).toMatchObject(
    {
      text: FLEET_SVID_ID,
    },
  )
  const both = ['FLEET_SVID_ID: set FLEET_SVID_BUNDLE_FILE and FLEET_SVID_ID, or neither']
  expect(faults({ FLEET_SVID_BUNDLE_FILE })).toEqual(both)
  expect(faults({ FLEET_SVID_ID })).toEqual(both)
})

test('a template that names no node is refused with the reason', () => {
  expect(faults({ FLEET_SVID_BUNDLE_FILE, FLEET_SVID_ID: 'spiffe://prod.example/{workload}' })).toEqual([
    'FLEET_SVID_ID: must have {node} once, as a segment of its own',
  ])
})
