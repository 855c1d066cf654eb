import { loginOf } from '@rekey/backend-postgres'
import type { Secret, StoredValue } from '@rekey/contracts'
import { call, safeErrorOf } from '@rekey/testing'
import { describe, expect, inject, onTestFinished, test } from 'vitest'
import type { StaticPairUnderTest } from '../test/given-static-pair.ts'
import { asRoot, given, mint, mintOnly, readCreds, verdictOf } from '../test/static-calls.ts'

const stack = inject('stack')

/** The request of a first mint that changes the password: both roles, the token, both names, the user. */
const ROTATE = 7

describe('the fence', () => {
  test('Vault refuses a token of one call at its second, and one whose time is over', async () => {
    const g = await given()
    const { mount, roles } = g.pair
    const [role] = roles
    const token = (seconds: number) =>
      asRoot().tokenForOneCall('rekey-database-static', seconds, { signal: AbortSignal.timeout(5_000) })
    const rotateWith = async (by: Secret) => {
      const headers = { 'X-Vault-Token': by.reveal() }
      const url = `${stack.vaultAddr}/v1/${mount}/rotate-role/${role}`
      return (await fetch(url, { method: 'POST', headers, body: '{}' })).status
    }
    const once = await token(30)
    expect([await rotateWith(once), await rotateWith(once)]).toEqual([204, 403])
    const short = await token(1)
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    const before = await readCreds(g)
    expect(await rotateWith(short)).toBe(403)
    expect(await readCreds(g)).toMatchObject({ last_vault_rotation: before.last_vault_rotation })
    // Nor may it do anything else.
    const read = await fetch(`${stack.vaultAddr}/v1/${mount}/static-creds/${role}`, {
      headers: { 'X-Vault-Token': (await token(30)).reveal() },
    })
    expect(read.status).toBe(403)
  })

  test('a call that comes after another worker has kept its value does not end that, and finds the same one', async () => {
    const g = await given()
    let kept: StoredValue | undefined
    g.faults.meanwhile(ROTATE, async () => {
      kept = await mint(g, 1)
    })
    const late = await mintOnly(g.authority, 1)
    g.faults.heal()
    expect(kept?.keyId).toBe(late.keyId)
    expect(await verdictOf(late)).toBe('accepted')
  })

  test('a revocation that comes late does not end what has the role by then', async () => {
    const g = await given()
    const [one, two] = [await mint(g, 1), await mint(g, 2)]
    let three: StoredValue | undefined
    // The token, the look, and then the change.
    g.faults.meanwhile(3, async () => {
      await g.another.revoke?.(1, call('r.revoke'))
      three = await mint(g, 3)
    })
    await g.authority.revoke?.(1, call('r.revoke'))
    g.faults.heal()
    expect(await Promise.all([one, two, three ?? one].map(verdictOf))).toEqual([
      'refused',
      'accepted',
      'accepted',
    ])
    expect(loginOf(three?.value ?? one.value)?.username).toBe(g.pair.users[0])
  })

  test('what an end has left is nobody’s: the next generation may have it, and no repeat of the end takes it away', async () => {
    const g = await given()
    const [one, two] = [await mint(g, 1), await mint(g, 2)]
    const known = (await g.another.list?.(call('r.list'))) ?? []
    const attempt = async () => g.another.mint?.(known, call('r.stage'), 3)
    expect((await safeErrorOf(attempt())).code).toBe('not_allowed_now')
    await g.another.revoke?.(2, call('r.revoke'))
    const three = await attempt()
    await g.another.revoke?.(2, call('r.revoke'))
    const value = three?.value ?? one.value
    expect(await Promise.all([one, two, { value }].map(verdictOf))).toEqual([
      'accepted',
      'refused',
      'accepted',
    ])
    expect(loginOf(value)?.username).toBe(g.pair.users[1])
  })

  test('holds where a paused worker goes on within the time of its token: both have the value of the last change', async () => {
    const g = await given()
    g.keyIds[9] = 'somebody/else'
    const slow = g.as({ fenceMs: 3_000 })
    const [one, other] = await Promise.all([mintOnly(slow, 1), mintOnly(g.as({ fenceMs: 3_000 }), 1)])
    expect(one.keyId).toBe(other.keyId)
    expect(await verdictOf(one)).toBe('accepted')
  })

  test('a token that lives for longer than it was asked for is none', async () => {
    const g = await given()
    const name = `long-${g.pair.connection}`
    await g.root('POST', `auth/token/roles/${name}`, {
      allowed_policies: ['rekey-database-static'],
      orphan: true,
      token_period: '60s',
    })
    onTestFinished(async () => void (await g.root('DELETE', `auth/token/roles/${name}`)))
    const before = await readCreds(g)
    const error = await safeErrorOf(mintOnly(g.as({ vault: asRoot(), tokenRole: name }), 1))
    expect(error).toMatchObject({ code: 'invalid_configuration' })
    expect(error.message).toContain(`vault write auth/token/roles/${name}`)
    expect(await readCreds(g)).toEqual(expect.objectContaining({ password: before.password }))
  })
})

describe("Vault's own clock", () => {
  test('begins anew with each password', async () => {
    const g = await given({ rotation_period: '60s' })
    await expect.poll(async () => (await readCreds(g)).ttl, { timeout: 10_000 }).toBeLessThan(58)
    await mint(g, 1, g.as({ rotationPeriod: '1m' }))
    expect((await readCreds(g)).ttl).toBeGreaterThanOrEqual(57)
  })

  const byClock = async ({ pair, root }: StaticPairUnderTest, role: string) => {
    const moment = async () =>
      (await root('GET', `${pair.mount}/static-roles/${role}`)).body.data?.last_vault_rotation
    const before = await moment()
    const period = { db_name: pair.connection, username: pair.users[0] }
    await root('POST', `${pair.mount}/static-roles/${role}`, { ...period, rotation_period: '5s' })
    await expect.poll(moment, { timeout: 30_000, interval: 250 }).not.toBe(before)
    await root('POST', `${pair.mount}/static-roles/${role}`, { ...period, rotation_period: '90d' })
    return `${role}/${await moment()}`
  }

  test.each<[string, (g: StaticPairUnderTest, role: string) => Promise<string>]>([
    ['Vault', byClock],
    ['somebody else', ({ rotateByHand }, role) => rotateByHand(role)],
  ])(
    'where %s changes a password in use, the value is gone, and the next has the other role',
    async (_, by) => {
      const g = await given()
      const one = await mint(g, 1)
      const name = await by(g, g.pair.roles[0])
      const error = await safeErrorOf(g.another.install?.(one, call('r.install')) ?? Promise.resolve())
      expect(error).toMatchObject({ code: 'not_allowed_now', message: expect.stringContaining(name) })
      // There is nothing left to end, and what is there now is not ended.
      await g.another.revoke?.(1, call('r.revoke'))
      expect(await g.another.list?.(call('r.list'))).toContain(name)
      const two = await mint(g, 2)
      expect(loginOf(two.value)?.username).toBe(g.pair.users[1])
    },
  )
})
