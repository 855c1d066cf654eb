import { randomUUID } from 'node:crypto'
import { GetSecretValueCommand } from '@aws-sdk/client-secrets-manager'
import { Secret } from '@rekey/contracts'
import pg from 'pg'
import { expect, inject, onTestFinished, test } from 'vitest'
import { callOf, givenRotatedSecret } from '../test/given-rotated-secret.ts'

const stack = inject('stack')

async function given() {
  const made = await givenRotatedSecret(stack)
  onTestFinished(() => made.close())
  const { another, keep, secret } = made
  const current = async () => {
    const { SecretString = '' } = await secret.aws.send(
      new GetSecretValueCommand({ SecretId: secret.secretId, VersionStage: 'AWSCURRENT' }),
    )
    return Secret.of(SecretString)
  }
  const verdictOf = async (value: Secret) => (await another.probe(value, callOf('probe')))[0]?.verdict
  const mint = async (generation: number, urgent = false) => {
    const value = {
      generation,
      ...(await another.mint([], callOf(`r.stage.g${generation}`, urgent), generation)),
    }
    keep(value)
    return value
  }
  const bringUp = async (generation: number) => {
    const value = await mint(generation)
    await another.install(value, callOf(`r.install.g${generation}`))
    await another.show(generation, callOf(`r.promote.g${generation}`))
    return value
  }
  const revoke = (generation: number) => another.revoke(generation, callOf(`r.revoke.g${generation}`))
  const byHand = async (sql: string) => {
    const db = new pg.Client({ connectionString: stack.postgresUrl })
    await db.connect()
    await db.query(sql).finally(() => db.end())
  }
  return { ...made, current, verdictOf, mint, bringUp, revoke, byHand }
}

/** As a client of the secret with no cache: what it reads must work. */
function startReader({ current, verdictOf }: Awaited<ReturnType<typeof given>>) {
  const seen: Record<string, number> = {}
  let going = true
  const running = (async () => {
    while (going) {
      const verdict = String(await verdictOf(await current()))
      seen[verdict] = (seen[verdict] ?? 0) + 1
    }
  })()
  return async () => {
    going = false
    await running
    return seen
  }
}

test('each rotation leaves one value, which readers of the secret get, too; what they read works throughout', async () => {
  const g = await given()
  const stop = startReader(g)
  const first = await g.current()
  let old = await g.bringUp(1)
  for (const generation of [2, 3, 4]) {
    const next = await g.mint(generation)
    // Before the stores move, nobody is told.
    expect((await g.current()).equals(old.value)).toBe(true)
    await g.another.show(generation, callOf('r.promote'))
    expect((await g.current()).equals(next.value)).toBe(true)
    expect(await g.verdictOf(old.value)).toBe('accepted')
    await g.revoke(old.generation)
    expect(await g.verdictOf(old.value)).toBe('refused')
    expect(await g.verdictOf(next.value)).toBe('accepted')
    expect((await g.current()).equals(next.value)).toBe(true)
    old = next
  }
  // What there was before Rekey was overwritten by the second.
  expect(await g.verdictOf(first)).toBe('refused')
  const { accepted = 0, ...others } = await stop()
  expect(others).toEqual({})
  expect(accepted).toBeGreaterThan(10)
})

test('a rollback shows readers the old value again, and then ends the new one', async () => {
  const g = await given()
  const old = await g.bringUp(1)
  const next = await g.bringUp(2)
  const stop = startReader(g)
  await g.another.show(1, callOf('r.restore'))
  expect((await g.current()).equals(old.value)).toBe(true)
  await g.revoke(2)
  expect(await g.verdictOf(next.value)).toBe('refused')
  expect(await g.verdictOf(old.value)).toBe('accepted')
  expect((await g.current()).equals(old.value)).toBe(true)
  await expect(g.another.show(2, callOf('r.promote'))).rejects.toMatchObject({ code: 'not_allowed_now' })
  await g.another.show(1, callOf('r.restore'))
  expect((await g.current()).equals(old.value)).toBe(true)
  expect(Object.keys(await stop())).toEqual(['accepted'])
  expect(await g.verdictOf((await g.bringUp(3)).value)).toBe('accepted')
})

test('a value that leaked is ended though nothing follows it yet, and readers of the secret get another', async () => {
  const g = await given()
  const leaked = await g.bringUp(1)
  await g.revoke(1)
  expect(await g.verdictOf(leaked.value)).toBe('refused')
  expect(await g.verdictOf(await g.current())).toBe('accepted')
  const next = await g.bringUp(2)
  expect((await g.current()).equals(next.value)).toBe(true)
})

test('a value that leaked is ended beside the one that follows it', async () => {
  const g = await given()
  const leaked = await g.bringUp(1)
  const settled = async (work: () => Promise<unknown>) =>
    expect
      .poll(
        () =>
          work().then(
            () => 'done',
            (error) => error.code,
          ),
        { timeout: 20_000 },
      )
      .toBe('done')
  await Promise.all([settled(() => g.revoke(1)), settled(() => g.mint(2, true))])
  await settled(() => g.another.show(2, callOf('r.promote')))
  const next = await g.current()
  expect(await g.verdictOf(leaked.value)).toBe('refused')
  expect(await g.verdictOf(next)).toBe('accepted')
})

test('who was kept from logging in by hand is not taken for ended, and it is said what to do', async () => {
  const g = await given()
  const leaked = await g.bringUp(1)
  const user = JSON.parse(leaked.value.reveal()).username
  await g.byHand(`alter role ${user} nologin`)
  expect(await g.verdictOf(leaked.value)).toBe('refused')
  await expect(g.revoke(1)).rejects.toMatchObject({
    code: 'invalid_configuration',
    message: expect.stringContaining(`alter role "${user}" login password`),
  })
  await g.byHand(`alter role ${user} login`)
  expect(await g.verdictOf(leaked.value)).toBe('accepted')
  await g.revoke(1)
  expect(await g.verdictOf(leaked.value)).toBe('refused')
  expect(await g.verdictOf((await g.bringUp(2)).value)).toBe('accepted')
})

test('a password that was overwritten by hand is ended, and has no place any more', async () => {
  const g = await given()
  const leaked = await g.bringUp(1)
  const user = JSON.parse(leaked.value.reveal()).username
  const next = await g.bringUp(2)
  await g.byHand(`alter role ${user} password 'planted-${randomUUID()}'`)
  await g.revoke(1)
  expect(await g.verdictOf(next.value)).toBe('accepted')
  const third = await g.bringUp(3)
  expect([await g.verdictOf(next.value), await g.verdictOf(third.value)]).toEqual(['accepted', 'accepted'])
})

test("a version that was there before its generation is nobody's to keep", async () => {
  const g = await given()
  const { keyId } = await g.bringUp(1)
  for (const known of Object.keys(g.keyIds)) delete g.keyIds[Number(known)]
  await expect(g.another.mint([keyId], callOf('r.stage.g1'), 1)).rejects.toMatchObject({
    code: 'foreign_writer',
  })
})

test('who is logged in with the other user is not cut off, but in an emergency', async () => {
  const g = await given()
  const before = await g.current()
  await g.bringUp(1)
  onTestFinished(await g.secret.logIn(before.reveal()))
  await expect(g.mint(2)).rejects.toMatchObject({
    code: 'not_allowed_now',
    message: expect.stringContaining(`${g.secret.users[0]} has 1 open session`),
  })
  expect(await g.mint(2, true)).toMatchObject({ generation: 2 })
  expect(await g.another.sessions(2, callOf('look'))).toBe(1)
  await g.another.endSessions?.(2, callOf('r.revoke.g2'))
  expect(await g.another.sessions(2, callOf('look'))).toBe(0)
})

test('sessions of a user are not ended for a generation that had it before', async () => {
  const g = await given()
  await g.bringUp(1)
  await g.bringUp(2)
  await g.revoke(1)
  const third = await g.mint(3)
  onTestFinished(await g.secret.logIn(third.value.reveal()))
  await g.another.endSessions?.(1, callOf('r.revoke.g1'))
  expect(await g.another.sessions(3, callOf('look'))).toBe(1)
})
