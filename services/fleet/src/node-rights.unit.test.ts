import type { VaultClient } from '@rekey/backend-vault'
import type { DesiredState } from '@rekey/contracts'
import { expect, test } from 'vitest'
import { FakeLedger } from '../test/fake-ledger.ts'
import { NodeRights } from './node-rights.ts'

const state = (path: string): DesiredState => ({
  credential: path,
  revision: 1,
  accept: [],
  refuse: [],
  floor: 1,
  store: { kind: 'vault-kv', mount: 'secret', path },
})

function setUp() {
  const written: string[] = []
  let failing = false
  const vault = {
    policyWrite: async (name: string, rules: Record<string, unknown>) => {
      if (failing) throw new Error('Vault is away')
      written.push(`${name}: ${Object.keys(rules).join(' ')}`)
    },
    policyDelete: async (name: string) => void written.push(`no policy ${name}`),
    appRoleDelete: async (name: string) => void written.push(`no role ${name}`),
  } as unknown as VaultClient
  const ledger = new FakeLedger()
  const rights = new NodeRights({ ledger, vault, log: { info() {}, warn() {}, error() {}, debug() {} } })
  return { rights, ledger, written, fail: (on: boolean) => (failing = on) }
}

test('a node may read a credential that is younger than its enrolment', async () => {
  const { rights, written } = setUp()
  await rights.allow('n1', [state('a')])
  await rights.allow('n1', [state('a')])
  await rights.allow('n1', [state('a'), state('b')])
  expect(written).toEqual([
    'rekey-node-n1: secret/data/a secret/data/rekey-staging/a/*',
    'rekey-node-n1: secret/data/a secret/data/rekey-staging/a/* secret/data/b secret/data/rekey-staging/b/*',
  ])
})

test('a credential that moves to a namespace is read there', async () => {
  const { rights, written } = setUp()
  const { store, ...moved } = state('a')
  await rights.allow('n1', [state('a')])
  await rights.allow('n1', [{ ...moved, store: { ...store, namespace: 'team/a' } }])
  expect(written.at(-1)).toBe('rekey-node-n1: team/a/secret/data/a team/a/secret/data/rekey-staging/a/*')
})

test('rights that could not be written are written at the next push', async () => {
  const { rights, written, fail } = setUp()
  fail(true)
  await rights.allow('n1', [state('a')])
  fail(false)
  await rights.allow('n1', [state('a')])
  expect(written).toHaveLength(1)
})

test('what another instance allowed is not written again, and what Vault refuses is', async () => {
  const { rights, ledger, written } = setUp()
  await rights.allow('n1', [state('a')])
  const reads = ledger.reads.get('n1') ?? null
  const other = setUp()
  other.rights.recall('n1', reads)
  await other.rights.allow('n1', [state('a')])
  expect(other.written).toEqual([])
  other.rights.forget('n1')
  await other.rights.allow('n1', [state('a')])
  expect(other.written).toEqual(written)
  // Nothing is on record of a node that has enrolled anew.
  rights.recall('n1', null)
  await rights.allow('n1', [state('a')])
  expect(written).toHaveLength(2)
})

test('a node that is gone loses its identity once', async () => {
  const { rights, ledger, written } = setUp()
  ledger.gone.push('n1')
  expect(await rights.retireGone()).toEqual(['n1'])
  expect(await rights.retireGone()).toEqual([])
  expect(written).toEqual(['no policy rekey-node-n1', 'no role rekey-node-n1'])
})
