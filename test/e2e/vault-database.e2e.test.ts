import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createDatabase, makeDatabaseRole, makeStaticPair } from '@rekey/local'
import pg from 'pg'
import { afterEach, expect, inject, test } from 'vitest'
import { startDatabaseClients } from './database-clients.ts'
import { knockAt, loginIn } from './database-login.ts'
import { startOneNode, startOwnRekey } from './own-rekey.ts'

const stack = inject('stack')
const vault = { addr: stack.vaultAddr, token: stack.vaultRootToken }

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of closers.splice(0).reverse()) await end()
})

type Logins = { sessions: string; endpoint: string; owner: string; drop(): Promise<void> }
type Authority = (logins: { endpoints: { name: string; url: string }[]; sessions: string }) => object

/** Users that Vault makes and ends. */
async function dynamicRole(postgresUrl: string, name: string) {
  const role = await makeDatabaseRole({ postgresUrl, vault }, name, { default_ttl: '30s' })
  const authority: Authority = (logins) => ({
    kind: 'vault-database-dynamic',
    mount: role.mount,
    role: role.role,
    ...logins,
  })
  return { ...role, authority }
}

/** Two users, whose passwords Vault sets. */
async function staticPair(postgresUrl: string, name: string) {
  const pair = await makeStaticPair({ postgresUrl, vault }, name)
  const authority: Authority = (logins) => ({
    kind: 'vault-database-static',
    mount: pair.mount,
    roles: pair.roles,
    ...logins,
  })
  return { ...pair, authority }
}

/** A whole Rekey of its own, and a node whose applications log into a database as users of Vault's. */
async function startWorld(
  make: (postgresUrl: string, name: string) => Promise<Logins & { authority: Authority }>,
) {
  const name = `vdb_shop_${randomBytes(4).toString('hex')}`
  const shopUrl = await createDatabase({ postgres: { url: stack.postgresUrl } }, name)
  const role = await make(shopUrl, name)
  closers.push(() => role.drop())
  const admin = new pg.Pool({ connectionString: shopUrl, max: 2 })
  admin.on('error', () => {})
  closers.push(() => admin.end())
  // Of the owner, who is dropped after this.
  closers.push(() => admin.query(`drop schema app cascade`))
  await admin.query(`create schema app authorization ${role.owner}`)
  await admin.query(`create table app.visit (by text)`)
  await admin.query(`alter table app.visit owner to ${role.owner}`)

  const rekey = await startOwnRekey(stack, {
    name: 'vdb',
    redisDatabase: 12,
    connections: { 'shop-sessions': role.sessions },
  })
  closers.push(() => rekey.close())
  const one = await startOneNode(
    rekey,
    {
      purpose: 'database',
      authority: role.authority({
        sessions: 'shop-sessions',
        endpoints: [{ name: 'primary', url: role.endpoint }],
      }),
      maxAge: '20d',
      rollout: { quietMs: 1_000, expediteDrainMs: 4_000 },
    },
    { format: 'value', probe: 'postgres' },
  )
  return {
    ...rekey,
    ...one,
    /** Users that Vault has made, as the server has them. */
    async users() {
      const { rows } = await admin.query(
        `select r.rolname as name from pg_roles r join pg_auth_members m on m.member = r.oid
         where m.roleid = $1::regrole and r.rolname like 'v-%'`,
        [role.owner],
      )
      return rows.map(({ name }) => String(name))
    },
  }
}

/** Three rotations under load, two of them with the rotator killed: nobody notices, and the old logins are dead. */
async function rotateUnderLoad(w: Awaited<ReturnType<typeof startWorld>>) {
  const clients = startDatabaseClients({
    files: [w.file],
    table: 'app.visit',
    keeping: 3,
    opening: 1,
    thinkMs: 20,
  })
  const old: string[] = []
  const turns = [
    { at: 'StagingStarted', order: (name: string) => w.control.rotate(name, 'the yearly audit') },
    { at: 'DrainingStarted', order: (name: string) => w.control.rotate(name, 'once more') },
    { at: undefined, order: (name: string) => w.control.expedite(name, 'seen in a paste') },
  ]
  for (const { at, order } of turns) {
    old.push((await readFile(w.file, 'utf8')).trim())
    const { rotation } = await order(w.credential)
    if (at) {
      await w.reaches(rotation, at)
      await w.platform.services.rotator?.kill()
    }
    expect(await w.ended(rotation)).toBe('closed')
    expect((await w.control.rotation(rotation)).exceptions).toEqual([])
  }
  const { ok, failed, failures, byUser } = await clients.stop()
  expect({ failed, failures }).toEqual({ failed: 0, failures: [] })
  expect(ok).toBeGreaterThan(100)
  for (const login of old) expect(await knockAt(login)).toBe('28P01')
  return Object.keys(byUser)
}

test('a login that Vault makes is replaced under load, with a rotator killed, and nobody notices', async () => {
  const w = await startWorld(dynamicRole)
  expect(await rotateUnderLoad(w)).toHaveLength(4)
  const { username } = await loginIn(w.file)
  // What a killed rotator could not keep ends by itself.
  await expect.poll(() => w.users(), { timeout: 60_000, interval: 500 }).toEqual([username])
})

test('two users whose passwords Vault sets take turns under load, with a rotator killed, and nobody notices', async () => {
  const w = await startWorld(staticPair)
  expect(await rotateUnderLoad(w)).toHaveLength(2)
})
