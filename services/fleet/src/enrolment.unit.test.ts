import { X509Certificate } from 'node:crypto'
import type { VaultClient } from '@rekey/backend-vault'
import { RekeyError, Secret } from '@rekey/contracts'
import { certificateAuthority } from '@rekey/testing/certificates'
import { beforeEach, describe, expect, test } from 'vitest'
import { FakeLedger } from '../test/fake-ledger.ts'
import { nodeNames, requestFor, svidFor } from '../test/test-authority.ts'
import { Counters } from './counters.ts'
import { enrolNode } from './enrolment.ts'
import type { Log } from './log.ts'
import { svidTemplate } from './svid-template.ts'

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

describe('with a certificate of SPIRE', async () => {
  const authority = await certificateAuthority()
  const template = svidTemplate('spiffe://prod.example/rekey/{workload}/{node}')
  const ID = 'spiffe://prod.example/rekey/chat/gw-1'
  const shown = async (id = ID, untrusted?: string) => {
    const { cert } = await svidFor(authority, id)
    return { der: new X509Certificate(cert).raw, untrusted }
  }
  const withoutToken = async () => {
    const { joinToken: _, ...rest } = await request()
    return rest
  }
  type Shown = Awaited<ReturnType<typeof shown>>
  const join = (payload: unknown, certificate?: Shown) =>
    enrolNode(payload, { ledger, vault, counters: new Counters(), log, template }, certificate)

  beforeEach(() => {
    const credentials = [{ credential: 'chat', mount: 'secret', path: 'chat' }]
    ledger.identities.set('gw-1', { node: 'gw-1', workload: 'chat', credentials })
  })

  test('a node needs no token, and may come again', async () => {
    for (const _ of [1, 2])
      expect(await join(await withoutToken(), await shown())).toMatchObject({ status: 200 })
    expect(ledger.joinedWith).toEqual([ID, ID])
    expect(policies).toHaveLength(2)
  })

  test('the certificate that it gets is ours, with its own key and name', async () => {
    const answer = await join(await withoutToken(), await shown())
    expect(answer).toMatchObject({
      body: { spiffeId: 'spiffe://rekey.local/node/gw-1', certificate: 'CERT' },
    })
  })

  test.each<[string, number, RegExp, () => Promise<Shown> | undefined]>([
    ['of another node', 403, /another node/, () => shown('spiffe://prod.example/rekey/chat/gw-2')],
    ['of another workload', 403, /another workload/, () => shown('spiffe://prod.example/rekey/web/gw-1')],
    ['of another trust domain', 403, /FLEET_SVID_ID/, () => shown('spiffe://test.example/rekey/chat/gw-1')],
    ['that is not trusted', 401, /not trusted \(CERT_/, () => shown(ID, 'CERT_HAS_EXPIRED')],
    ['that it does not have', 403, /neither/, () => undefined],
  ])(
    'nobody comes in with one %s, and Vault hears nothing of it',
    async (_what, status, error, certificate) => {
      const answer = await join(await withoutToken(), await certificate())
      expect(answer).toEqual({ status, error: expect.stringMatching(error) })
      expect(done).toEqual([])
      expect(ledger.joinedWith).toEqual([])
    },
  )

  test('a fleet that was not told of SPIRE takes tokens alone', async () => {
    const answer = await enrolNode(
      await withoutToken(),
      { ledger, vault, counters: new Counters(), log },
      await shown(),
    )
    expect(answer).toMatchObject({ status: 403, error: expect.stringMatching(/FLEET_SVID_ID/) })
  })

  test('with a token as well, the token decides', async () => {
    const other = await shown('spiffe://prod.example/rekey/web/gw-9')
    expect(await join(await request(), other)).toMatchObject({ status: 200 })
    expect(await join(await request(), await shown())).toMatchObject({
      status: 403,
      error: expect.stringMatching(/join token/),
    })
    expect(ledger.joinedWith).toEqual([])
  })

  test('the signing request is looked at as always', async () => {
    const csr = await requestFor(nodeNames('gw-2'))
    expect(await join({ node: 'gw-1', csr }, await shown())).toMatchObject({ status: 400 })
    expect(ledger.joinedWith).toEqual([])
  })

  test('what the ledger refuses is said, and a ledger that is away is waited for', async () => {
    const why = 'node gw-1 was declared gone'
    ledger.identities.set('gw-1', new RekeyError('not_allowed_now', why))
    expect(await join(await withoutToken(), await shown())).toEqual({ status: 403, error: why })
    ledger.failing = true
    expect(await join(await withoutToken(), await shown())).toMatchObject({ status: 503 })
    expect(done).toEqual([])
  })

  test('a failure of Vault uses nothing up', async () => {
    isBroken = true
    expect(await join(await withoutToken(), await shown())).toMatchObject({
      status: 502,
      error: expect.stringMatching(/^Vault failed/),
    })
    isBroken = false
    expect(await join(await withoutToken(), await shown())).toMatchObject({ status: 200 })
  })
})
