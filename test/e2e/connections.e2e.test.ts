import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { withToken } from '@rekey/backend-vault'
import { Secret } from '@rekey/contracts'
import { makeRolePair } from '@rekey/local'
import { startAgent } from '@rekey/platform'
import { expect, inject, onTestFinished, test } from 'vitest'
import { startDatabaseClients } from './database-clients.ts'
import { knockAt } from './database-login.ts'
import { firstValueProved } from './first-value.ts'
import { turns } from './outbound-turns.ts'
import { type OutboundWorld, startOutboundWorld } from './outbound-world.ts'

const stack = inject('stack')
const root = withToken({ addr: stack.vaultAddr, token: Secret.of(stack.vaultRootToken) })
/** Where Rekey's own AppRoles are. */
const MOUNT = 'approle'
/** A rotator's token ends so soon that it logs in again and again while the test goes on. */
const TOKEN_SECONDS = 8

/** An AppRole of Rekey's own, in the files that a service is started with. */
async function ownRole(dir: string, role: string, policies: string[]) {
  const place = { mount: MOUNT, role }
  const settings = {
    policies,
    tokenTtlSeconds: TOKEN_SECONDS,
    tokenMaxTtlSeconds: TOKEN_SECONDS,
    secretIdTtlSeconds: 0,
  }
  await root.appRoleWrite(role, settings, place)
  onTestFinished(() => root.appRoleDelete(role, place))
  const roleId = await root.appRoleId(role, place)
  const { accessor, secretId } = await root.secretIdMake(place, { metadata: {}, uses: 0 })
  await mkdir(dir, { recursive: true, mode: 0o700 })
  await writeFile(join(dir, 'role-id'), roleId, { mode: 0o600 })
  await writeFile(join(dir, 'secret-id'), secretId.reveal(), { mode: 0o600 })
  return { place, roleId, accessor, roleIdFile: join(dir, 'role-id'), secretIdFile: join(dir, 'secret-id') }
}

/** May do to the secret ids of one role what rotating them needs, and nothing else. */
async function keeperPolicy(name: string, role: string): Promise<void> {
  const at = `auth/${MOUNT}/role/${role}`
  await root.policyWrite(name, {
    [at]: ['read'],
    [`${at}/role-id`]: ['read'],
    [`${at}/secret-id`]: ['create', 'update', 'list'],
    [`${at}/secret-id-accessor/lookup`]: ['create', 'update'],
    [`${at}/secret-id-accessor/destroy`]: ['create', 'update'],
    'sys/auth': ['read'],
  })
  onTestFinished(() => root.policyDelete(name))
}

/** The manager of the shop's pair becomes a pair of its own, which a root manager manages. */
async function managedManager({ pair, admin, connections, id }: OutboundWorld) {
  const database = new URL(pair.endpoint)
  const url = new URL(stack.postgresUrl)
  url.pathname = database.pathname
  const managers = await makeRolePair(url.href, `managers_${id}`)
  await admin.query(`alter role ${managers.owner} createrole`)
  await admin.query('call rekey.make_role_pair($1, $2, $3)', [pair.pair, pair.owner, managers.owner])
  await writeFile(join(connections, 'root'), managers.connection, { mode: 0o600 })
  return managers
}

type Credential = { name: string; connection: string; authority: Record<string, unknown> }

const document = (workload: string, { name, connection, authority }: Credential) => ({
  apiVersion: 'rekey.dev/v1',
  kind: 'Credential',
  metadata: { name },
  spec: {
    workload,
    purpose: connection,
    direction: 'outbound',
    connection,
    authority,
    stores: [{ name: 'vault', kind: 'vault-kv', mount: 'secret', path: `e2e/${workload}/${connection}` }],
    rollout: {
      waves: ['100%'],
      settleMs: 100,
      quietMs: 1_000,
      readerCacheMs: 1_000,
      waveDeadlineMs: 30_000,
      expediteDrainMs: 2_000,
    },
  },
})

test('Rekey rotates what it works with itself, under load, without a gap, and never through itself', {
  timeout: 300_000,
}, async () => {
  const dir = await mkdtemp(join(tmpdir(), 'rekey-own-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  const tag = randomBytes(4).toString('hex')
  const own = await ownRole(join(dir, 'rotator'), `rotator-${tag}`, ['rekey-rotator'])
  const w = await startOutboundWorld(stack, 13, {
    rotator: { VAULT_ROLE_ID_FILE: own.roleIdFile, VAULT_SECRET_ID_FILE: own.secretIdFile },
  })
  onTestFinished(() => w.close())
  const { control, connections } = w
  await keeperPolicy(`keeper-${tag}`, own.place.role)
  await ownRole(join(connections, 'keeper'), `keeper-${tag}`, [`keeper-${tag}`])
  const managers = await managedManager(w)
  onTestFinished(() => managers.drop())

  const workload = `rekey-${w.id}`
  const vaultLogin: Credential = {
    name: `rotator-vault-${w.id}`,
    connection: 'rotator-vault',
    authority: {
      kind: 'vault-approle-secret-id',
      ...own.place,
      connection: 'keeper',
      tokenMaxMs: TOKEN_SECONDS * 1_000,
    },
  }
  const manager: Credential = {
    name: `shop-manager-${w.id}`,
    connection: 'shop',
    authority: {
      kind: 'postgres-role-pair',
      pair: managers.pair,
      owner: managers.owner,
      connection: 'root',
      endpoints: [{ name: 'primary', url: managers.endpoint }],
      soakMs: 500,
    },
  }
  for (const one of [vaultLogin, manager]) {
    const throughItself = { ...one, authority: { ...one.authority, connection: one.connection } }
    await expect(control.configure([document(workload, throughItself)], true)).rejects.toThrow(
      'is not rotated through itself',
    )
  }
  await control.configure(
    [
      {
        apiVersion: 'rekey.dev/v1',
        kind: 'Workload',
        metadata: { name: workload },
        spec: { spiffeId: `spiffe://example.org/${workload}`, environment: 'prod', owner: 'team-e2e' },
      },
      document(workload, vaultLogin),
      document(workload, manager),
    ],
    true,
  )

  // The host of the rotator is a node like any other: its agent writes the files that the rotator reads.
  const host = `rotator-host-${w.id}`
  const { token: joinToken } = await control.createNodeToken(host, workload, 60_000)
  const managerFile = join(connections, 'shop')
  const agent = await startAgent({
    name: host,
    dir: join(dir, host),
    fleet: w.platform.fleet,
    vaultAddr: stack.vaultAddr,
    joinToken,
    adapters: [
      {
        credential: vaultLogin.name,
        kind: 'file',
        path: own.secretIdFile,
        format: 'value',
        probe: 'approle',
        appRole: { addr: stack.vaultAddr, mount: MOUNT, roleIdFile: own.roleIdFile },
      },
      {
        credential: manager.name,
        kind: 'file',
        path: managerFile,
        format: 'value',
        probe: 'postgres',
      },
    ],
  })
  onTestFinished(() => agent.stop())
  for (const { name } of [vaultLogin, manager]) {
    await w.ended(`${name}-g1`)
    await firstValueProved(control, name, 1)
  }
  // What it was started with is not Rekey's, and goes by hand once it is not needed.
  await root.secretIdDestroy(own.place, own.accessor)

  const clients = startDatabaseClients({
    files: w.login.files,
    table: w.table,
    keeping: 2,
    opening: 1,
    thinkMs: 20,
  })
  const login = async (secretId: string) => {
    const { mount } = own.place
    return (await root.tryLogin({ mount, roleId: own.roleId, secretId: Secret.of(secretId) })) === 'accepted'
      ? 'in'
      : 'refused'
  }
  const at = ({ name }: Credential, file: string) => ({ credential: name, files: [file] })
  await Promise.all([
    turns(w, w.login, { count: 3, knock: knockAt, refusal: '28P01', seed: 0 }),
    turns(w, at(vaultLogin, own.secretIdFile), { count: 2, knock: login, refusal: 'refused', seed: 5 }),
    turns(w, at(manager, managerFile), { count: 2, knock: knockAt, refusal: '28P01', seed: 3 }),
  ])
  const { failed, failures, ok } = await clients.stop()
  expect({ failed, failures }).toEqual({ failed: 0, failures: [] })
  expect(ok).toBeGreaterThan(100)
  // It still works with what it has now.
  await w.platform.services.rotator.kill()
  const { rotation } = await control.rotate(w.login.credential, 'once more, from a cold start')
  expect(await w.ended(rotation)).toBe('closed')

  for (const { name } of [vaultLogin, manager]) {
    await expect(control.contain(name, 'it leaked')).rejects.toThrow('would lock itself out')
    await expect(control.retire(name, 'not needed')).rejects.toThrow('would lock itself out')
  }
  expect(JSON.parse(await readFile(managerFile, 'utf8')).username).toMatch(/^managers_\w+_[ab]$/)
})
