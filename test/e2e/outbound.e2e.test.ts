import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { tryAccessKeyValue } from '@rekey/backend-aws'
import { Secret } from '@rekey/contracts'
import pg from 'pg'
import { afterEach, expect, inject, test } from 'vitest'
import { startCloudClients } from './cloud-clients.ts'
import { startDatabaseClients } from './database-clients.ts'
import { knockAt, loginIn } from './database-login.ts'
import { turns, victims } from './outbound-turns.ts'
import { type OutboundWorld, startOutboundWorld } from './outbound-world.ts'
import { startStoreReaders } from './store-readers.ts'

/** Rotations of each; the last one is in a hurry. */
const TURNS = process.env.REKEY_DEEP ? 20 : 3

let world: OutboundWorld | undefined
afterEach(async () => {
  await world?.close()
  world = undefined
})

/** What the server itself shows of the pair, again and again: the most that was ever enabled at once. */
function watchRoles({ admin, pair }: OutboundWorld) {
  let most = 0
  let looks = 0
  let going = true
  const watching = (async () => {
    while (going) {
      const { rows } = await admin.query(
        'select count(*)::int as n from pg_roles where rolname like $1 and rolcanlogin',
        [`${pair.pair}\\__`],
      )
      most = Math.max(most, rows[0].n)
      looks++
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  })()
  return {
    async stop() {
      going = false
      await watching
      return { most, looks }
    },
  }
}

/** Roles that may log in, and sessions of those that may not. */
async function rolesNow({ admin, pair }: OutboundWorld) {
  const { rows } = await admin.query(
    `select r.rolname as role, r.rolcanlogin as enabled,
            (select count(*)::int from pg_stat_activity a where a.usename = r.rolname) as sessions
     from pg_roles r where r.rolname like $1 order by 1`,
    [`${pair.pair}\\__`],
  )
  return {
    enabled: rows.filter((row) => row.enabled).map((row) => String(row.role)),
    left: rows.filter((row) => !row.enabled && row.sessions > 0),
  }
}

test(`a database login and a cloud key are replaced ${TURNS} times each under load, somebody dies each time, and nobody notices`, {
  timeout: 60_000 + TURNS * 60_000,
}, async () => {
  const stack = inject('stack')
  world = await startOutboundWorld(stack, 14)
  const w = world
  const { login, accessKey, table } = w
  const place = { endpoint: stack.awsEndpoint, region: stack.awsRegion }
  const database = startDatabaseClients({ files: login.files, table, keeping: 3, opening: 1, thinkMs: 20 })
  const cloud = await startCloudClients({
    ...place,
    files: accessKey.files,
    dir: join(w.dir, 'profiles'),
    each: 4,
    thinkMs: 20,
  })
  const roles = watchRoles(w)
  const tryKey = async (value: string) => {
    const { verdict, seen } = await tryAccessKeyValue(Secret.of(value), place, {})
    return verdict === 'accepted' ? 'in' : seen
  }
  const readers = [
    startStoreReaders(login.readers(), knockAt),
    startStoreReaders(accessKey.readers(), tryKey),
  ]
  await Promise.all([
    turns(w, login, { count: TURNS, knock: knockAt, refusal: '28P01', seed: 0 }),
    turns(w, accessKey, { count: TURNS, knock: tryKey, refusal: 'InvalidClientTokenId', seed: 3 }),
  ])

  const { byUser, ...queries } = await database.stop()
  const calls = await cloud.stop()
  const { most, looks } = await roles.stop()
  for (const { ok, failed, failures } of [queries, calls]) {
    expect({ failed, failures }).toEqual({ failed: 0, failures: [] })
    expect(ok).toBeGreaterThan(200)
  }
  for (const one of readers) {
    const { tried, refused } = await one.stop()
    expect(refused).toEqual([])
    expect(Math.min(tried.vault ?? 0, tried.aws ?? 0)).toBeGreaterThan(50)
  }
  for (const { readers: of } of [login, accessKey]) {
    const { vault, aws, close } = of()
    const [inVault, inAws] = [await vault(), await aws()]
    close()
    expect(inVault?.generation).toBe(TURNS + 1)
    expect(inAws?.generation).toBe(TURNS + 1)
    expect(inAws?.value.equals(inVault?.value ?? Secret.of(''))).toBe(true)
  }
  // Both may choose the same one in the same moment.
  const restarts = victims(w).reduce((sum, process) => sum + (process?.restarts ?? 0), 0)
  expect(restarts).toBeGreaterThanOrEqual(TURNS - 1)
  const valid = await loginIn(login.files[0] ?? '')
  expect(await rolesNow(w)).toEqual({ enabled: [valid.username], left: [] })
  expect(Object.keys(byUser).sort()).toEqual([`${w.pair.pair}_a`, `${w.pair.pair}_b`])
  expect(looks).toBeGreaterThan(100)
  expect(most).toBe(2)
  const { AccessKeyId } = JSON.parse(await readFile(accessKey.files[0] ?? '', 'utf8'))
  expect(await w.user.keys()).toEqual([{ id: AccessKeyId, status: 'Active' }])
})

test('a session that stays open is waited for, and named; an emergency ends it', async () => {
  world = await startOutboundWorld(inject('stack'), 15, { rollout: { drainCapMs: 2_000 } })
  const w = world
  const { control } = w
  const { credential, files } = w.login
  const { username, password, host, port, dbname } = await loginIn(files[0] ?? '')
  const forgotten = new pg.Client({ user: username, password, host, port, database: dbname })
  const over = new Promise<void>((resolve) => forgotten.on('end', resolve))
  forgotten.on('error', () => {})
  await forgotten.connect()

  const { rotation } = await control.rotate(credential, 'somebody forgot a connection')
  await w.reaches(rotation, 'HoldPlaced')
  const { waitsFor } = await control.rotation(rotation)
  expect(waitsFor.join()).toContain('the authority has 1 open session of it')
  expect(await knockAt(await readFile(files[0] ?? '', 'utf8'))).toBe('in')
  await forgotten.query('select 1')

  await control.expedite(credential, 'it leaked as well', [1])
  expect(await w.ended(rotation)).toBe('closed')
  await over
  expect((await rolesNow(w)).left).toEqual([])
})
