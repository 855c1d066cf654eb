import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Secret } from '@rekey/contracts'
import { ensurePrivateFolder } from '@rekey/runtime'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type FakeFleet, startFakeFleet } from '../test/fake-fleet.ts'
import { silent } from '../test/keeper-bench.ts'
import type { AgentConfig } from './config.ts'
import { enrol, type Unwrap } from './enrolment.ts'
import { EnrolmentError } from './enrolment-error.ts'
import { identityFiles } from './identity.ts'
import { Renewal } from './renewal.ts'

const TOKEN = 't'.repeat(40)
let dir: string
let fleet: FakeFleet
let config: AgentConfig
let opened: string[]
let unwrap: Unwrap

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rekey-enrol-'))
  fleet = await startFakeFleet({ node: 'gw-1', valueOf: () => Secret.of('x') })
  fleet.allowToken(TOKEN)
  config = {
    node: 'gw-1',
    fleet: { url: fleet.url, enrolUrl: fleet.enrolUrl, caFile: join(dir, 'ca.pem') },
    joinTokenFile: join(dir, 'token'),
    stateDir: join(dir, 'state'),
    vault: { addr: 'http://127.0.0.1:1' },
    pollMs: 1_000,
    usageMs: 1_000,
    adapters: [],
  }
  await writeFile(join(dir, 'ca.pem'), fleet.ca)
  await writeFile(join(dir, 'token'), `${TOKEN}\n`)
  await ensurePrivateFolder(config.stateDir)
  opened = []
  unwrap = async (token) => {
    if (opened.includes(token)) return 'used'
    opened.push(token)
    return `secret-id-of-${token}`
  }
})

afterEach(async () => {
  await fleet.stop()
  await rm(dir, { recursive: true, force: true })
})

const enrolNow = () => enrol(config, { unwrap, log: silent })
const failure = () =>
  enrolNow().then(
    () => undefined,
    (error: unknown) => (error instanceof EnrolmentError ? error : undefined),
  )

test('an enrolment leaves key, certificate and secret id for the owner only, and removes the token', async () => {
  const identity = await enrolNow()
  expect(identity).toMatchObject({
    spiffeId: 'spiffe://rekey.local/node/gw-1',
    vault: { roleId: 'role', secretId: `secret-id-of-wrapped-${TOKEN}` },
  })
  const files = await readdir(config.stateDir)
  expect(files.toSorted()).toEqual(['enrolled.json', 'node.key', 'vault-secret-id'])
  for (const file of files) expect((await stat(join(config.stateDir, file))).mode & 0o777).toBe(0o600)
  expect(await readdir(dir)).not.toContain('token')
  expect(await enrolNow()).toEqual(identity)
})

describe('after a crash', () => {
  test('before the token was redeemed, the same key goes on', async () => {
    const { saveKey } = identityFiles(config.stateDir)
    await enrolNow()
    const key = await readFile(join(config.stateDir, 'node.key'), 'utf8')
    await rm(config.stateDir, { recursive: true })
    await ensurePrivateFolder(config.stateDir)
    await saveKey(key)
    await writeFile(join(dir, 'token'), TOKEN)
    fleet.allowToken(TOKEN)
    opened = []
    expect((await enrolNow()).privateKey).toBe(key)
  })

  test('between redeeming and storing, a new token is asked for, and works', async () => {
    await enrolNow()
    await rm(join(config.stateDir, 'enrolled.json'))
    await rm(join(config.stateDir, 'vault-secret-id'))
    await writeFile(join(dir, 'token'), TOKEN)
    const error = await failure()
    expect(error).toMatchObject({ transient: false })
    expect(error?.message).toMatch(/ask for a new join token/)
    const next = 'n'.repeat(40)
    fleet.allowToken(next)
    await writeFile(join(dir, 'token'), next)
    expect((await enrolNow()).vault.secretId).toBe(`secret-id-of-wrapped-${next}`)
  })

  test('before the secret id was unwrapped, it is unwrapped now, without a token', async () => {
    unwrap = async () => 'unreachable'
    expect(await failure()).toMatchObject({ transient: true })
    await rm(join(dir, 'token'))
    unwrap = async () => 'the-secret-id'
    expect((await enrolNow()).vault.secretId).toBe('the-secret-id')
  })

  test('between unwrapping and storing, a new token is asked for, and works', async () => {
    await enrolNow()
    await rm(join(config.stateDir, 'vault-secret-id'))
    expect((await failure())?.message).toMatch(/ask for a new join token/)
    const next = 'n'.repeat(40)
    fleet.allowToken(next)
    await writeFile(join(dir, 'token'), next)
    expect((await enrolNow()).vault.secretId).toBe(`secret-id-of-wrapped-${next}`)
  })
})

test('a secret id that somebody else opened first is said to be so', async () => {
  unwrap = async () => 'used'
  expect((await failure())?.message).toMatch(/somebody else read it/)
})

test('a fleet with a certificate of another authority is not talked to', async () => {
  const other = await startFakeFleet({ node: 'gw-1', valueOf: () => Secret.of('x') })
  await writeFile(join(dir, 'ca.pem'), other.ca)
  await other.stop()
  expect(await failure()).toMatchObject({ transient: true, message: expect.stringMatching(/CERT|SIGNATURE/) })
})

test('a certificate that ended needs a new token, and is replaced by it', async () => {
  fleet.certificatesValid({
    notBefore: new Date(Date.now() - 10_000),
    notAfter: new Date(Date.now() - 1_000),
  })
  await enrolNow()
  fleet.certificatesValid({})
  expect((await failure())?.message).toMatch(/new join token/)
  const next = 'n'.repeat(40)
  fleet.allowToken(next)
  await writeFile(join(dir, 'token'), next)
  expect(Date.parse((await enrolNow()).expiresAt)).toBeGreaterThan(Date.now())
})

test('with the new certificate the secret id of the old one is gone, also where Vault is away just then', async () => {
  fleet.certificatesValid({
    notBefore: new Date(Date.now() - 10_000),
    notAfter: new Date(Date.now() - 1_000),
  })
  await enrolNow()
  fleet.certificatesValid({})
  const next = 'n'.repeat(40)
  fleet.allowToken(next)
  await writeFile(join(dir, 'token'), next)
  const whole = unwrap
  unwrap = async () => 'unreachable'
  expect(await failure()).toMatchObject({ transient: true })
  unwrap = whole
  expect((await enrolNow()).vault.secretId).toBe(`secret-id-of-wrapped-${next}`)
})

describe('with an SVID', () => {
  const MINUTE_MS = 60_000
  const give = async (made = fleet.svid()) => {
    const { cert, key } = await made
    await writeFile(join(dir, 'svid.0.pem'), cert)
    await writeFile(join(dir, 'svid.0.key'), key)
  }

  beforeEach(async () => {
    const { joinTokenFile: _, ...rest } = config
    config = { ...rest, svid: { certFile: join(dir, 'svid.0.pem'), keyFile: join(dir, 'svid.0.key') } }
    await give()
  })

  test('an enrolment needs no token, keeps its own key, and leaves the files of the SVID alone', async () => {
    const identity = await enrolNow()
    expect(identity).toMatchObject({
      spiffeId: 'spiffe://rekey.local/node/gw-1',
      vault: { roleId: 'role', secretId: 'secret-id-of-wrapped-svid-1' },
    })
    expect(identity.privateKey).not.toBe((await fleet.svid()).key)
    expect(await readdir(dir)).toEqual(expect.arrayContaining(['svid.0.pem', 'svid.0.key']))
    expect(await enrolNow()).toEqual(identity)
  })

  test('a lost state, and a certificate that ended, are made good without anybody', async () => {
    fleet.certificatesValid({
      notBefore: new Date(Date.now() - 10_000),
      notAfter: new Date(Date.now() - 1_000),
    })
    await enrolNow()
    fleet.certificatesValid({})
    const second = await enrolNow()
    expect(second.vault.secretId).toBe('secret-id-of-wrapped-svid-2')
    await rm(config.stateDir, { recursive: true })
    await ensurePrivateFolder(config.stateDir)
    const third = await enrolNow()
    expect(third.vault.secretId).toBe('secret-id-of-wrapped-svid-3')
    expect(third.privateKey).not.toBe(second.privateKey)
  })

  test('a secret id that cannot be opened any more is made good, too', async () => {
    unwrap = async () => 'unreachable'
    expect(await failure()).toMatchObject({ transient: true })
    const used: string[] = []
    unwrap = async (token) => {
      used.push(token)
      return used.length === 1 ? 'used' : 'the-secret-id'
    }
    expect((await enrolNow()).vault.secretId).toBe('the-secret-id')
    expect(used).toEqual(['wrapped-svid-1', 'wrapped-svid-2'])
  })

  test('the files are read at each try, and a try waits for whoever writes them', async () => {
    await rm(join(dir, 'svid.0.key'))
    expect(await failure()).toMatchObject({
      transient: true,
      message: expect.stringMatching(/ENOENT .*svid\.0\.key/),
    })
    await give()
    await writeFile(join(dir, 'svid.0.key'), (await fleet.svid()).key)
    expect(await failure()).toMatchObject({
      transient: true,
      message: expect.stringMatching(/is not the key of/),
    })
    await writeFile(join(dir, 'svid.0.pem'), 'half a cert')
    expect(await failure()).toMatchObject({ transient: true, message: expect.stringMatching(/in PEM/) })
    const past = {
      notBefore: new Date(Date.now() - 2 * MINUTE_MS),
      notAfter: new Date(Date.now() - MINUTE_MS),
    }
    await give(fleet.svid(past))
    expect(await failure()).toMatchObject({ transient: true, message: expect.stringMatching(/has ended/) })
    await give()
    expect((await enrolNow()).vault.roleId).toBe('role')
  })

  test.each<[number, boolean, RegExp]>([
    [401, true, /does not trust the SVID \(401: no\): .*FLEET_SVID_BUNDLE_FILE/],
    [403, false, /did not take the SVID \(403: no\): .*registration entry/],
    [502, true, /could not enrol the node \(502: no\)/],
    [503, true, /cannot enrol now/],
    [400, false, /refused the enrolment \(400: no\); a release/],
  ])(
    'a refusal with %i says what it is, and never asks for a join token',
    async (status, transient, message) => {
      fleet.svids.refusal = () => ({ status, error: 'no' })
      const error = await failure()
      expect(error).toMatchObject({ transient, message: expect.stringMatching(message) })
      expect(error?.message).not.toMatch(/ask for a new join token/)
    },
  )

  test('what a refusal says is made plain before it is shown', async () => {
    fleet.svids.refusal = () => ({ status: 403, error: `no\u001b[2J\n${'x'.repeat(1_000)}` })
    const message = (await failure())?.message ?? ''
    expect(message).toContain('no [2J xxx')
    expect(message.length).toBeLessThan(500)
  })
})

describe('renewal', () => {
  const HOUR_MS = 3_600_000

  test('is due after two thirds of the life, keeps the key, and survives a restart', async () => {
    const notAfter = new Date(Date.now() + HOUR_MS)
    fleet.certificatesValid({ notBefore: new Date(Date.now() - HOUR_MS), notAfter })
    const identity = await enrolNow()
    let now = Date.now()
    const files = identityFiles(config.stateDir)
    const renewal = new Renewal({ identity, files, log: silent, now: () => now })
    expect(await renewal.requestIfDue()).toBeUndefined()
    now += HOUR_MS / 2
    expect(await renewal.requestIfDue()).toMatch(/CERTIFICATE REQUEST/)
    const other = await startFakeFleet({ node: 'gw-1', valueOf: () => Secret.of('x') })
    await other.stop()
    // Shorter than what it has, or not for its key: refused.
    const { certificate, authorities } = identity
    await renewal.take({ type: 'renewed', certificate, authorities, expiresAt: new Date(0).toISOString() })
    await renewal.take({
      type: 'renewed',
      certificate: fleet.ca,
      authorities,
      expiresAt: '2999-01-01T00:00:00Z',
    })
    expect(renewal.identity).toEqual(identity)
    await renewal.take({ type: 'renewed', certificate, authorities, expiresAt: '2999-01-01T00:00:00Z' })
    expect((await files.load()).enrolled?.expiresAt).toBe('2999-01-01T00:00:00Z')
  })
})
