import { randomUUID } from 'node:crypto'
import { Secret } from '@rekey/contracts'
import { call, plantedSecret, safeErrorOf, startHttpServer } from '@rekey/testing'
import { expect, inject, onTestFinished, test } from 'vitest'
import { withToken } from './client.ts'
import { vaultKvStore } from './kv-store.ts'
import { allowNodeReads } from './node-identity.ts'
import { vaultReader } from './reader.ts'

/**
 * Vault's community edition has no namespaces, so a stand-in is put before the real server: it refuses a namespace that is
 * not there, and keeps what is in one below a path of its own.
 */
const { vaultAddr, vaultRootToken } = inject('stack')
const token = Secret.of(vaultRootToken)
const root = withToken({ addr: vaultAddr, token })
const NAMESPACE = 'team/a'
const value = (generation: number) => ({ generation, keyId: `key-${generation}`, value: plantedSecret() })

async function startNamespaces() {
  const asked: string[] = []
  const server = await startHttpServer(async (request, reply) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const namespace = request.headers['x-vault-namespace']
    asked.push(`${namespace ?? ''} ${request.method} ${request.url}`)
    if (namespace !== undefined && namespace !== NAMESPACE) {
      reply.writeHead(404, { 'content-type': 'application/json' })
      return void reply.end(JSON.stringify({ errors: ['no handler for route'] }))
    }
    const path = (request.url ?? '').replace(
      /^\/v1\/secret\/(data|metadata|destroy)\//,
      (all) => `${all}${namespace === undefined ? '' : `in/${namespace}/`}`,
    )
    const answer = await fetch(`${vaultAddr}${path}`, {
      method: request.method ?? 'GET',
      headers: { 'x-vault-token': String(request.headers['x-vault-token']), 'x-vault-request': 'true' },
      ...(chunks.length > 0 && { body: Buffer.concat(chunks) }),
    })
    reply.writeHead(answer.status, { 'content-type': 'application/json' })
    reply.end(Buffer.from(await answer.arrayBuffer()))
  })
  onTestFinished(() => server.close())
  return { asked, addr: server.url }
}

test('keeps a credential in its namespace, and looks for it nowhere else', async () => {
  const { asked, addr } = await startNamespaces()
  const vault = withToken({ addr, token })
  const place = { mount: 'secret', path: `ns/${randomUUID()}`, namespace: NAMESPACE }
  const store = vaultKvStore(vault, place)
  const first = value(1)
  await store.stage(first, call('r1.stage.s'))
  const version = await store.promote(1, undefined, call('r1.promote.s'))
  await store.stage(value(2), call('r2.stage.s'))
  await store.promote(2, version, call('r2.promote.s'))
  await store.destroy(1, call('r2.destroy.s'))
  const listed = await store.list(call('list'))
  expect(listed.find((seen) => seen.labels.includes('current'))).toMatchObject({ generation: 2 })
  expect(await vaultReader(vault, place).readCurrent()).toMatchObject({ generation: 2 })
  expect(await root.kvRead('secret', place.path)).toBeUndefined()
  expect(await root.kvRead('secret', `in/${NAMESPACE}/${place.path}`)).toMatchObject({ version: 2 })
  // Once for each client: whether there are namespaces at all.
  const [question, ...others] = asked
  expect(question).toBe('rekey-no-such-namespace GET /v1/auth/token/lookup-self')
  expect(others.length).toBeGreaterThan(5)
  expect(others.every((one) => one.startsWith(`${NAMESPACE} `))).toBe(true)
  vault.close()
})

test('is below the namespace that the identity logs in to', async () => {
  const { asked, addr } = await startNamespaces()
  const vault = withToken({ addr, token, namespace: 'team' })
  const place = { mount: 'secret', path: `ns/${randomUUID()}`, namespace: 'a' }
  expect(await vaultReader(vault, place).readCurrent()).toBeUndefined()
  expect(asked.map((one) => one.split(' ')[0])).toEqual(['team/rekey-no-such-namespace', NAMESPACE])
  vault.close()
})

test('says so where the namespace is not there', async () => {
  const { addr } = await startNamespaces()
  const vault = withToken({ addr, token })
  const error = await safeErrorOf(vault.inNamespace('team/b').kvRead('secret', 'x'), token)
  expect(error).toMatchObject({ code: 'not_found', retryable: false })
  expect(error.message).toBe(
    'read secret/x in the namespace team/b: nothing is mounted at secret, or there is no such namespace',
  )
  vault.close()
})

test('a server without namespaces is noticed before anything is written to its root', async () => {
  const place = { mount: 'secret', path: `ns/${randomUUID()}`, namespace: NAMESPACE }
  const next = value(1)
  const error = await safeErrorOf(
    vaultKvStore(root, place).stage(next, call('r1.stage.s')),
    next.value,
    token,
  )
  expect(error).toMatchObject({ code: 'invalid_configuration', retryable: false })
  expect(error.message).toMatch(/^this server has no namespaces, so there is no team\/a/)
  expect(await root.kvRead('secret', `rekey-staging/${place.path}/1`)).toBeUndefined()
})

test('refuses a name that would lead elsewhere', async () => {
  for (const name of ['..', 'a/../b', 'a?b', '/a', 'a/', ''])
    expect(() => root.inNamespace(name)).toThrow(/a Vault path may hold/)
})

test('a node’s policy names what is in a namespace by its path', async () => {
  const written: Record<string, unknown>[] = []
  const policyWrite = async (_name: string, rules: Record<string, unknown>) => void written.push(rules)
  const reads = [
    { mount: 'secret', path: 'a' },
    { mount: 'secret', path: 'b', namespace: NAMESPACE },
  ]
  await allowNodeReads({ ...root, policyWrite }, { node: 'n1', reads })
  expect(written.map((rules) => Object.keys(rules))).toEqual([
    [
      'secret/data/a',
      'secret/data/rekey-staging/a/*',
      'team/a/secret/data/b',
      'team/a/secret/data/rekey-staging/b/*',
    ],
  ])
})
