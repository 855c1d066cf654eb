import { randomUUID } from 'node:crypto'
import { inspect } from 'node:util'
import { Secret } from '@rekey/contracts'
import { call, drip, plantedSecret, safeErrorOf, startFaultProxy, startHttpServer } from '@rekey/testing'
import { afterEach, describe, expect, inject, test, vi } from 'vitest'
import { connectVault, type VaultClient, withToken } from './client.ts'

const { vaultAddr, vaultRootToken } = inject('stack')
const root = withToken({ addr: vaultAddr, token: Secret.of(vaultRootToken) })
const kv = { mount: 'secret', path: `client/${randomUUID()}` }

afterEach(() => {
  vi.unstubAllEnvs()
})

/** An identity that may read and write below `client/`, with tokens of the given life. */
async function shortLived(tokenTtlSeconds: number, tokenMaxTtlSeconds = tokenTtlSeconds) {
  const name = `rekey-test-${randomUUID()}`
  await root.policyWrite(name, { 'secret/data/client/*': ['create', 'read', 'update'] })
  const settings = { policies: [name], tokenTtlSeconds, tokenMaxTtlSeconds, secretIdTtlSeconds: 0 }
  await root.appRoleWrite(name, settings)
  const roleId = await root.appRoleId(name)
  const secretId = await root.unwrapSecretId(await root.wrappedSecretId(name, 60))
  return { name, roleId, secretId }
}

async function loginsOf(client: (addr: string) => VaultClient, work: (client: VaultClient) => Promise<void>) {
  const proxy = await startFaultProxy(vaultAddr)
  const made = client(proxy.url)
  try {
    await work(made)
    return proxy.count
  } finally {
    made.close()
    await proxy.close()
  }
}

describe('the Vault identity', () => {
  test('logs in once, however many calls come at the same time', async () => {
    const { roleId, secretId } = await shortLived(600)
    const requests = await loginsOf(
      (addr) => connectVault({ addr, roleId, secretId }),
      async (client) => {
        await Promise.all(Array.from({ length: 10 }, () => client.kvRead(kv.mount, kv.path)))
      },
    )
    expect(requests).toBe(11)
  })

  test('logs in again when its token was revoked', async () => {
    const { name, roleId, secretId } = await shortLived(600)
    const client = connectVault({ addr: vaultAddr, roleId, secretId })
    await client.kvWrite(kv.mount, kv.path, { n: 1 })
    // A role that is written anew keeps its tokens; the token of this client has to be found and ended.
    const accessors = await fetch(`${vaultAddr}/v1/auth/token/accessors?list=true`, {
      headers: { 'X-Vault-Token': vaultRootToken },
    })
    const { data } = (await accessors.json()) as { data: { keys: string[] } }
    for (const accessor of data.keys) {
      const looked = await fetch(`${vaultAddr}/v1/auth/token/lookup-accessor`, {
        method: 'POST',
        headers: { 'X-Vault-Token': vaultRootToken },
        body: JSON.stringify({ accessor }),
      })
      const seen = (await looked.json()) as { data?: { policies: string[] } }
      if (!seen.data?.policies.includes(name)) continue
      await fetch(`${vaultAddr}/v1/auth/token/revoke-accessor`, {
        method: 'POST',
        headers: { 'X-Vault-Token': vaultRootToken },
        body: JSON.stringify({ accessor }),
      })
    }
    expect(await client.kvRead(kv.mount, kv.path)).toMatchObject({ data: { n: 1 } })
    client.close()
  })

  test('renews its token past two thirds of its life, and enters anew where Vault grants no more', async () => {
    const { roleId, secretId } = await shortLived(3, 6)
    const client = connectVault({ addr: vaultAddr, roleId, secretId })
    const until = performance.now() + 8_000
    let reads = 0
    while (performance.now() < until) {
      await client.kvRead(kv.mount, kv.path)
      reads += 1
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    expect(reads).toBeGreaterThan(20)
    client.close()
  })

  test('takes a refusal for a refusal, without a new login', async () => {
    const { roleId, secretId } = await shortLived(600)
    const requests = await loginsOf(
      (addr) => connectVault({ addr, roleId, secretId }),
      async (client) => {
        const error = await safeErrorOf(client.kvRead('secret', 'elsewhere/x'), secretId)
        expect(error.code).toBe('permission_denied')
      },
    )
    // Login, the read, and one look whether the token lives.
    expect(requests).toBe(3)
  })

  test('says that its secret id is wrong, without showing it', async () => {
    const { roleId } = await shortLived(600)
    const secretId = plantedSecret()
    const client = connectVault({ addr: vaultAddr, roleId, secretId })
    const error = await safeErrorOf(client.kvRead(kv.mount, kv.path), secretId)
    expect(error.code).toBe('permission_denied')
    client.close()
  })

  test('says which secret id file it cannot read', async () => {
    const client = connectVault({ addr: vaultAddr, roleId: 'r', secretIdFile: '/nowhere/secret-id' })
    const error = await safeErrorOf(client.kvRead(kv.mount, kv.path))
    expect(error).toMatchObject({
      code: 'invalid_configuration',
      message: expect.stringContaining('/nowhere/'),
    })
  })
})

describe('the Vault client', () => {
  test('is deaf to the environment', async () => {
    const stray = plantedSecret()
    vi.stubEnv('VAULT_TOKEN', stray.reveal())
    vi.stubEnv('VAULT_ADDR', 'http://127.0.0.1:1')
    vi.stubEnv('VAULT_NAMESPACE', 'elsewhere')
    vi.stubEnv('VAULT_PREFIX', '/elsewhere')
    vi.stubEnv('HTTP_PROXY', 'http://127.0.0.1:1')
    vi.stubEnv('http_proxy', 'http://127.0.0.1:1')
    vi.stubEnv('DEBUG', 'node-vault')
    const client = withToken({ addr: vaultAddr, token: Secret.of(vaultRootToken) })
    await client.kvWrite(kv.mount, kv.path, { n: 2 })
    expect(await client.kvRead(kv.mount, kv.path)).toMatchObject({ data: { n: 2 } })
  })

  test('shows no token when it is printed', async () => {
    const token = plantedSecret()
    const client = withToken({ addr: vaultAddr, token })
    expect(inspect(client, { depth: Infinity, showHidden: true })).not.toContain(token.reveal())
  })

  test('follows no redirect, so that token and body stay with the server that was named', async () => {
    const seen: string[] = []
    const thief = await startHttpServer((request, reply) => {
      seen.push(request.url ?? '')
      reply.end('{}')
    })
    const proxy = await startFaultProxy(vaultAddr)
    const location = `${thief.url}/v1/secret/data/x`
    proxy.arm('every', { kind: 'answer', status: 307, headers: { location }, body: '' })
    const secret = plantedSecret()
    const client = withToken({ addr: proxy.url, token: secret })
    const error = await safeErrorOf(client.kvWrite('secret', 'x', { value: secret.reveal() }), secret)
    expect(error.code).toBe('bad_response')
    expect(seen).toEqual([])
    client.close()
    await thief.close()
    await proxy.close()
  })

  test('cuts the connection at the deadline, so that no late act is left behind', async () => {
    let cut = false
    const slow = await startHttpServer((request) => {
      request.socket.on('close', () => {
        cut = true
      })
    })
    const token = plantedSecret()
    const client = withToken({ addr: slow.url, token, timeoutMs: 150 })
    expect((await safeErrorOf(client.kvRead('secret', 'x'), token)).code).toBe('backend_timeout')
    await vi.waitFor(() => expect(cut).toBe(true))
    await slow.close()
  })

  test('cuts off an answer that drips without end', async () => {
    const dripping = await startHttpServer(drip('application/json'))
    const client = withToken({ addr: dripping.url, token: Secret.of('t') })
    const error = await safeErrorOf(client.kvRead('secret', 'x', call('x', 200)))
    expect(error.code).toBe('backend_timeout')
    await dripping.close()
  })

  test('refuses an address that is no plain URL', () => {
    for (const addr of ['vault:8200', 'ftp://x', 'http://user:pass@vault', 'http://vault?x=1', '']) {
      expect(() => withToken({ addr, token: Secret.of('t') })).toThrow(/address/)
    }
  })

  test('says not found for a mount that is not there, and undefined for a path that is not', async () => {
    expect(await root.kvRead('secret', `client/${randomUUID()}`)).toBeUndefined()
    expect((await safeErrorOf(root.kvRead('nothing-here', 'x'))).code).toBe('not_found')
  })
})
