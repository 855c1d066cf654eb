import { execFile } from 'node:child_process'
import { request } from 'node:https'
import { connect } from 'node:tls'
import { promisify } from 'node:util'
import type { VaultClient } from '@rekey/backend-vault'
import { Secret } from '@rekey/contracts'
import { certificateAuthority } from '@rekey/testing/certificates'
import { afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { FakeLedger } from '../test/fake-ledger.ts'
import { type Issued, nodeNames, requestFor, svidFor, type TestAuthority } from '../test/test-authority.ts'
import { Fleet, type FleetOptions } from './fleet.ts'
import type { Log } from './log.ts'
import { svidTemplate } from './svid-template.ts'

/** The enrolment over real TLS; ledger and Vault are played. */

const ID = 'spiffe://prod.example/rekey/chat/gw-1'
const TOKEN = 't'.repeat(43)
const MINUTE_MS = 60_000
const silent: Log = { debug() {}, info() {}, warn() {}, error() {} }

let ours: TestAuthority
let spire: TestAuthority
let server: Issued
let ledger: FakeLedger
let fleet: Fleet
let port: number
let channelPort: number
let csr: string

const vault = {
  lookupSelf: async () => {},
  pkiSign: async () => ({
    certificate: 'CERT',
    caChain: ['CA'],
    serial: '01',
    expiresAt: Date.UTC(2030, 0, 1),
  }),
  policyWrite: async () => {},
  policyDelete: async () => {},
  appRoleWrite: async () => {},
  appRoleDelete: async () => {},
  appRoleId: async () => 'role',
  wrappedSecretId: async () => Secret.of('wrapped'),
} as unknown as VaultClient

beforeAll(async () => {
  ours = await certificateAuthority()
  spire = await certificateAuthority()
  server = await ours.issue([{ type: 'dns', value: 'localhost' }])
  csr = await requestFor(nodeNames('gw-1'))
})

beforeEach(async () => {
  ledger = new FakeLedger()
  const joined = { node: 'gw-1', workload: 'chat', credentials: [] }
  ledger.identities.set('gw-1', joined)
  ledger.tokens.set(TOKEN, joined)
  await startFleet({
    template: svidTemplate('spiffe://prod.example/rekey/{workload}/{node}'),
    bundle: spire.ca,
  })
})

async function startFleet(svid?: FleetOptions['svid']): Promise<void> {
  fleet = new Fleet({
    instance: 'test',
    host: '127.0.0.1',
    port: 0,
    enrolPort: 0,
    heartbeatMs: 1_000,
    tls: { ...server, ca: ours.ca },
    svid,
    ledger,
    vault,
    log: silent,
  })
  ;({ enrolPort: port, port: channelPort } = await fleet.start())
}

afterEach(() => fleet.stop())

type Given = { svid?: Issued; session?: Buffer; joinToken?: string }

/** What the fleet answers; `session`: of the handshake before. */
function enrol({ svid, session, joinToken }: Given = {}): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const about = {
      method: 'POST',
      host: 'localhost',
      port,
      path: '/v1/enrol',
      ca: ours.ca,
      agent: false,
    } as const
    const outgoing = request({ ...about, ...svid, ...(session && { session }) }, async (response) => {
      let text = ''
      for await (const chunk of response) text += chunk
      resolve({ status: response.statusCode ?? 0, text })
    })
    outgoing.on('error', reject)
    outgoing.end(JSON.stringify({ node: 'gw-1', csr, ...(joinToken !== undefined && { joinToken }) }))
  })
}

const statusOf = async (given?: Given) => (await enrol(given)).status

describe('an enrolment without a join token', () => {
  test('is taken with a certificate of the bundle, again and again', async () => {
    const svid = await svidFor(spire, ID)
    expect([await statusOf({ svid }), await statusOf({ svid })]).toEqual([200, 200])
    expect(ledger.joinedWith).toEqual([ID, ID])
  })

  test('is refused without a certificate, and with one of the channel', async () => {
    expect(await enrol()).toMatchObject({ status: 403, text: expect.stringMatching(/neither/) })
    expect(await statusOf({ svid: await ours.issue(nodeNames('gw-1')) })).toBe(401)
  })

  test.each<[string, number, RegExp, () => Promise<Issued>]>([
    ['of another authority', 401, /not trusted/, async () => svidFor(await certificateAuthority(), ID)],
    [
      'that has ended',
      401,
      /CERT_HAS_EXPIRED/,
      () =>
        svidFor(spire, ID, {
          notBefore: new Date(Date.now() - 2 * MINUTE_MS),
          notAfter: new Date(Date.now() - MINUTE_MS),
        }),
    ],
    [
      'that is not valid yet',
      401,
      /CERT_NOT_YET_VALID/,
      () => svidFor(spire, ID, { notBefore: new Date(Date.now() + MINUTE_MS) }),
    ],
    ['of another node', 403, /another node/, () => svidFor(spire, ID.replace('gw-1', 'gw-2'))],
    ['of another workload', 403, /workload/, () => svidFor(spire, ID.replace('chat', 'web'))],
    ['of another trust domain', 403, /FLEET_SVID_ID/, () => svidFor(spire, ID.replace('prod', 'test'))],
    ['with a longer path', 403, /FLEET_SVID_ID/, () => svidFor(spire, `${ID}/extra`)],
    [
      'with two URIs',
      403,
      /more than one/,
      () => svidFor(spire, ID, { names: [{ type: 'url', value: ID }] }),
    ],
    ['of an authority', 403, /is a CA/, () => svidFor(spire, ID, { isCa: true })],
  ])('is refused with a certificate %s', async (_what, status, why, make) => {
    expect(await enrol({ svid: await make() })).toEqual({ status, text: expect.stringMatching(why) })
    expect(ledger.joinedWith).toEqual([])
  })

  test('is refused in a resumed session, in which nothing of the certificate was checked again', async () => {
    const svid = await svidFor(spire, ID)
    const session = await new Promise<Buffer>((resolve, reject) => {
      const socket = connect({ host: 'localhost', port, ca: ours.ca, ...svid })
      socket.once('session', resolve)
      socket.once('error', reject)
      onTestFinished(() => void socket.destroy())
    })
    expect(await enrol({ svid, session })).toMatchObject({
      status: 401,
      text: expect.stringMatching(/SESSION_REUSED/),
    })
    expect(await statusOf({ svid })).toBe(200)
  })

  test('follows the bundle: who comes into it is taken, and who leaves it is not', async () => {
    const next = await certificateAuthority()
    const [before, after] = [await svidFor(spire, ID), await svidFor(next, ID)]
    expect(await statusOf({ svid: after })).toBe(401)
    fleet.trustSvids(`${spire.ca}${next.ca}`)
    expect([await statusOf({ svid: before }), await statusOf({ svid: after })]).toEqual([200, 200])
    fleet.trustSvids(next.ca)
    expect([await statusOf({ svid: before }), await statusOf({ svid: after })]).toEqual([401, 200])
  })

  test('goes on when the server gets its next certificate, and so does TLS 1.3', async () => {
    fleet.renewTls({ ...(await ours.issue([{ type: 'dns', value: 'localhost' }])), ca: ours.ca })
    expect(await statusOf({ svid: await svidFor(spire, ID) })).toBe(200)
    expect(await statusOf({ svid: await svidFor(await certificateAuthority(), ID) })).toBe(401)
    for (const its of [port, channelPort]) {
      const old = connect({ host: 'localhost', port: its, ca: ours.ca, maxVersion: 'TLSv1.2' })
      const outcome = new Promise((resolve) => {
        old.once('secureConnect', () => resolve('connected'))
        old.once('error', (error: NodeJS.ErrnoException) => resolve(error.code))
      })
      expect(await outcome).toMatch(/PROTOCOL_VERSION/)
    }
  })
})

test('a join token is taken as before, with any certificate or none', async () => {
  const other = await svidFor(await certificateAuthority(), ID.replace('gw-1', 'gw-9'))
  expect(await statusOf({ svid: other, joinToken: TOKEN })).toBe(200)
  expect(await statusOf({ joinToken: TOKEN })).toBe(403)
  expect(ledger.joinedWith).toEqual([])
})

test('a fleet that was not told of SPIRE takes tokens alone', async () => {
  await fleet.stop()
  await startFleet()
  const svid = await svidFor(spire, ID)
  expect(await enrol({ svid })).toMatchObject({ status: 403, text: expect.stringMatching(/FLEET_SVID_ID/) })
  expect(await statusOf({ svid, joinToken: TOKEN })).toBe(200)
})

test('a fleet that cannot read its bundle does not start, and says why', async () => {
  const env = {
    ...{ DATABASE_URL: 'none', REDIS_URL: 'none', VAULT_ADDR: 'http://127.0.0.1:1' },
    ...{ VAULT_ROLE_ID_FILE: 'none', VAULT_SECRET_ID_FILE: 'none', FLEET_CA_FILE: 'none' },
    ...{ FLEET_PORT: '0', FLEET_ENROL_PORT: '0' },
    FLEET_SVID_BUNDLE_FILE: '/nowhere/bundle.pem',
    FLEET_SVID_ID: 'spiffe://prod.example/rekey/{workload}/{node}',
  }
  const main = new URL('main.ts', import.meta.url).pathname
  const failed = await promisify(execFile)(process.execPath, [main], { env }).catch((error: unknown) => error)
  expect(failed).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/FLEET_SVID_BUNDLE_FILE, .nowhere.bundle\.pem, cannot be used: ENOENT/),
  })
})
