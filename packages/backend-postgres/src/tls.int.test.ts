import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { Secret, type StoredValue } from '@rekey/contracts'
import { createDatabase, makeRolePair, type RolePair, type Stack, startStack } from '@rekey/local'
import { call, safeErrorOf } from '@rekey/testing'
import { certificateAuthority } from '@rekey/testing/certificates'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loginOf, rolePairAuthority } from './index.ts'

/** A server of its own, whose certificate can be changed. */
let stack: Stack
let url: string
let pair: RolePair
const known = getCACertificates()

beforeAll(async () => {
  stack = await startStack({ only: ['postgres'], own: true })
  url = await createDatabase(stack, 'shop')
  pair = await makeRolePair(url, 'shop_app')
})
afterAll(async () => {
  setDefaultCACertificates(known)
  await stack?.stop()
})

const address = [{ type: 'ip', value: '127.0.0.1' }] as const

/** Only the server's own user may read its key, so the server writes it. */
async function serve({ key, cert }: { key: string; cert: string }): Promise<void> {
  const admin = new pg.Client({ connectionString: url })
  await admin.connect()
  try {
    for (const [file, text] of Object.entries({ 'server.key': key, 'server.crt': cert })) {
      const lines = admin.escapeLiteral(text.trim())
      await admin.query(
        `copy (select unnest(string_to_array(${lines}, E'\\n'))) to program 'umask 077; cat > ${file}'`,
      )
    }
    await admin.query('alter system set ssl = on')
    await admin.query('select pg_reload_conf()')
  } finally {
    await admin.end()
  }
}

const checked = (text: string) => {
  const at = new URL(text)
  at.searchParams.set('sslmode', 'verify-full')
  return at.href
}
const authority = () =>
  rolePairAuthority(
    {
      pair: pair.pair,
      owner: pair.owner,
      connection: 'tls',
      endpoints: [{ name: 'primary', url: checked(pair.endpoint) }],
    },
    { connection: () => Secret.of(checked(pair.connection)) },
  )

async function made(generation: number): Promise<StoredValue> {
  const value = await authority().make(generation, call(`make-${generation}`))
  return { generation, keyId: `key-${generation}`, value }
}

test('a login is made, tried and ended over TLS, and a certificate that changed is named before anything is sent', async () => {
  const first = await certificateAuthority()
  setDefaultCACertificates([...known, first.ca])
  await serve(await first.issue([...address]))
  // The server takes its new certificate when it has heard of it.
  const look = () =>
    authority()
      .sessions(1, call('look'))
      .catch((error: unknown) => String(error))
  await expect.poll(look, { timeout: 10_000 }).toBe(0)
  const value = await made(1)
  expect(loginOf(value.value)?.sslmode).toBe('verify-full')
  await authority().install(value, call('install-1'))
  const probe = () => authority().probe(value.value, call('probe'))
  expect(await probe()).toEqual([{ endpoint: 'primary', verdict: 'accepted', seen: 'logged in' }])

  const other = await certificateAuthority()
  await serve(await other.issue([...address]))
  await expect.poll(async () => (await probe())[0]?.verdict, { timeout: 10_000 }).toBe('unknown')
  const password = Secret.of(loginOf(value.value)?.password ?? '')
  const error = await safeErrorOf(authority().revoke(1, call('revoke-1')), password)
  expect({ code: error.code, retryable: error.retryable }).toEqual({
    code: 'backend_unavailable',
    retryable: true,
  })
  expect(error.message).toMatch(/certificate is not trusted \([A-Z_]+\).*NODE_EXTRA_CA_CERTS/)

  // Nothing was done, and all goes on when its authority is known.
  setDefaultCACertificates([...known, other.ca])
  expect(await probe()).toMatchObject([{ verdict: 'accepted' }])
  await authority().revoke(1, call('revoke-1'))
  expect(await probe()).toMatchObject([{ verdict: 'refused' }])
})
