import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { anonymousVault, trySecretId, withToken } from '@rekey/backend-vault'
import { Secret } from '@rekey/contracts'
import { afterEach, expect, inject, test } from 'vitest'
import { countAnswers } from './counted-answers.ts'
import { startOneNode, startOwnRekey } from './own-rekey.ts'

const stack = inject('stack')
const MOUNT = 'workloads'
/** As long as a token lives, and so how long a routine rotation waits without a login. */
const TOKEN_SECONDS = 2

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of closers.splice(0).reverse()) await end()
})

/** A whole Rekey of its own, and a node whose applications log into Vault as a role of their own. */
async function startWorld() {
  const root = withToken({ addr: stack.vaultAddr, token: Secret.of(stack.vaultRootToken) })
  const place = { mount: MOUNT, role: `embedder-${randomBytes(4).toString('hex')}` }
  const limits = { tokenTtlSeconds: 1, tokenMaxTtlSeconds: TOKEN_SECONDS, secretIdTtlSeconds: 0 }
  await root.appRoleWrite(place.role, { policies: [], ...limits }, place)
  closers.push(() => root.appRoleDelete(place.role, place))
  const roleId = await root.appRoleId(place.role, place)

  const rekey = await startOwnRekey(stack, { name: 'approle', redisDatabase: 13 })
  closers.push(() => rekey.close())
  const roleIdFile = join(rekey.dir, 'role-id')
  await writeFile(roleIdFile, roleId)
  const one = await startOneNode(
    rekey,
    {
      purpose: 'vault-login',
      authority: { kind: 'vault-approle-secret-id', ...place, tokenMaxMs: TOKEN_SECONDS * 1_000 },
    },
    { format: 'value', probe: 'approle', appRole: { addr: stack.vaultAddr, mount: MOUNT, roleIdFile } },
  )
  const anonymous = anonymousVault({ addr: stack.vaultAddr })
  closers.push(async () => anonymous.close())
  return {
    ...rekey,
    ...one,
    /** As an application does it, with what its file holds. */
    async logIn(text: string) {
      const role = { mount: MOUNT, roleId: async () => roleId }
      const { seen } = await trySecretId(anonymous, role, Secret.of(text.trim()), {})
      return seen
    },
    secretIds: () => root.secretIdList(place),
  }
}

/** Applications that log in again and again. Every answer is counted. */
function startLogins({ file, logIn }: Awaited<ReturnType<typeof startWorld>>) {
  return countAnswers(Array.from({ length: 4 }, () => async () => logIn(await readFile(file, 'utf8'))))
}

test('a login to Vault is replaced under load, with a rotator killed, and nobody notices', async () => {
  const w = await startWorld()
  const logins = startLogins(w)
  const old: string[] = []
  const turns = [
    (credential: string) => w.control.rotate(credential, 'the yearly audit'),
    (credential: string) => w.control.expedite(credential, 'seen in a paste'),
  ]
  for (const [turn, order] of turns.entries()) {
    old.push(await readFile(w.file, 'utf8'))
    const { rotation } = await order(w.credential)
    if (turn === 0) {
      await w.reaches(rotation, 'DrainingStarted')
      await w.platform.services.rotator?.kill()
    }
    expect(await w.ended(rotation)).toBe('closed')
    expect((await w.control.rotation(rotation)).exceptions).toEqual([])
  }
  const { 'logged in': ok = 0, ...others } = await logins.stop()
  expect(others).toEqual({})
  expect(ok).toBeGreaterThan(100)
  for (const text of old) expect(await w.logIn(text)).toBe('invalid role or secret ID')
  expect(await w.logIn(await readFile(w.file, 'utf8'))).toBe('logged in')
  expect(await w.secretIds()).toHaveLength(1)
})
