import type { VaultClient } from '@rekey/backend-vault'
import { RekeyError, Secret } from '@rekey/contracts'
import { beforeEach, expect, test } from 'vitest'
import { FakeLedger } from '../test/fake-ledger.ts'
import { nodeNames, requestFor } from '../test/test-authority.ts'
import { Counters } from './counters.ts'
import { enrolNode } from './enrolment.ts'
import type { Log } from './log.ts'

const TOKEN = 't'.repeat(43)
const logged: unknown[] = []
const write = (...line: unknown[]) => void logged.push(line)
const log: Log = { debug: write, info: write, warn: write, error: write }

let ledger: FakeLedger
let vault: VaultClient
let policies: unknown[]
let done: string[]
let isSealed: boolean
let isBroken: boolean

beforeEach(() => {
  logged.length = 0
  policies = []
  done = []
  isSealed = false
  isBroken = false
  ledger = new FakeLedger()
  const credentials = [{ credential: 'chat', mount: 'secret', path: 'chat' }]
  ledger.tokens.set(TOKEN, { node: 'gw-1', workload: 'chat', credentials })
  const known = {
    async lookupSelf() {
      if (isSealed) throw new RekeyError('sealed', 'sealed')
    },
    async pkiSign() {
      if (isBroken) throw new RekeyError('permission_denied', 'sign a certificate')
      return { certificate: 'CERT', caChain: ['CA'], serial: '01', expiresAt: Date.UTC(2030, 0, 1) }
    },
    async policyWrite(_name: string, rules: unknown) {
      policies.push(rules)
      done.push('policy written')
    },
    async policyDelete(name: string) {
      done.push(`${name}: policy deleted`)
    },
    async appRoleWrite() {
      done.push('role written')
    },
    async appRoleDelete(name: string) {
      done.push(`${name}: role deleted`)
    },
    async appRoleId() {
      return 'role'
    },
    async wrappedSecretId() {
      return Secret.of('wrapped-secret-id')
    },
  }
  vault = known as unknown as VaultClient
})

const enrol = (payload: unknown) => enrolNode(payload, { ledger, vault, counters: new Counters(), log })
const request = async (more: object = {}) => ({
  node: 'gw-1',
  joinToken: TOKEN,
  csr: await requestFor(nodeNames('gw-1')),
  ...more,
})

test('a join token becomes a certificate and a Vault identity that reads its credentials only', async () => {
  expect(await enrol(await request())).toEqual({
    status: 200,
    body: {
      spiffeId: 'spiffe://rekey.local/node/gw-1',
      certificate: 'CERT',
      authorities: 'CA\n',
      expiresAt: '2030-01-01T00:00:00.000Z',
      vault: { roleId: 'role', wrappedSecretId: 'wrapped-secret-id' },
    },
  })
  expect(policies).toEqual([{ 'secret/data/chat': ['read'], 'secret/data/rekey-staging/chat/*': ['read'] }])
  expect(JSON.stringify(logged)).not.toMatch(/ttttt|wrapped-secret-id/)
})

test('a token works once, and for its own node only', async () => {
  const other = { node: 'gw-2', csr: await requestFor(nodeNames('gw-2')) }
  expect(await enrol(await request(other))).toMatchObject({ status: 403 })
  expect(await enrol(await request())).toMatchObject({ status: 200 })
  expect(await enrol(await request())).toMatchObject({ status: 403 })
})

test('what can be known before does not use the token up', async () => {
  expect(await enrol(await request({ csr: await requestFor(nodeNames('gw-2')) }))).toMatchObject({
    status: 400,
  })
  expect(await enrol(await request({ joinToken: 'short' }))).toMatchObject({ status: 400 })
  expect(await enrol(undefined)).toMatchObject({ status: 400 })
  isSealed = true
  expect(await enrol(await request())).toMatchObject({ status: 503 })
  isSealed = false
  expect(await enrol(await request())).toMatchObject({ status: 200 })
})

test('a failure of Vault after the token was redeemed is said as what it is', async () => {
  isBroken = true
  expect(await enrol(await request())).toMatchObject({ status: 502, error: /used up/ })
})

test('what a former life of the node left in Vault ends before the new identity is made', async () => {
  expect(await enrol(await request())).toMatchObject({ status: 200 })
  expect(done).toEqual([
    'rekey-node-gw-1: policy deleted',
    'rekey-node-gw-1: role deleted',
    'policy written',
    'role written',
  ])
})

test('nothing of a node is deleted for a token that is not good', async () => {
  await enrol(await request({ joinToken: 'x'.repeat(43) }))
  expect(done).toEqual([])
})
