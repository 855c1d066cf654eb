import { createPrivateKey, randomUUID, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import {
  bundleParts,
  bundleText,
  Secret,
  type StoredValue,
  type VaultPkiCertificateSpec,
} from '@rekey/contracts'
import { call, proxyFaults, safeErrorOf, startFaultProxy, testAuthority } from '@rekey/testing'
import { describe, expect, inject, onTestFinished, test, vi } from 'vitest'
import { type VaultClient, withToken } from './client.ts'
import { pkiCertificate } from './pki-certificate.ts'

const { vaultAddr, vaultRootToken } = inject('stack')
const POLICY = readFileSync(new URL('../../../infra/vault/rekey-rotator.hcl', import.meta.url), 'utf8')

type Answer = { data?: Record<string, unknown>; auth?: { client_token?: string } }

/** What no client of ours has a verb for. */
async function ask(method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<Answer> {
  const reply = await fetch(`${vaultAddr}/v1/${path}`, {
    method,
    headers: { 'X-Vault-Token': vaultRootToken },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status} ${await reply.text()}`)
  return reply.status === 204 ? {} : ((await reply.json()) as Answer)
}

const GOOD = {
  allowed_domains: 'internal.example',
  allow_subdomains: true,
  allowed_uri_sans: 'rekey://*',
  allowed_serial_numbers: 'rekey/*',
  key_type: 'ec',
  key_bits: 256,
  max_ttl: '24h',
}

/** A token with what the rotator may do, for this mount in place of its own. */
async function tokenFor(mount: string): Promise<Secret> {
  const policy = POLICY.replaceAll('pki-workloads/', `${mount}/`)
  await ask('POST', `sys/policies/acl/${mount}`, { policy })
  const { auth } = await ask('POST', 'auth/token/create', { policies: [mount], ttl: '1h' })
  return Secret.of(String(auth?.client_token))
}

type Options = {
  role?: Record<string, unknown>
  spec?: Partial<VaultPkiCertificateSpec>
  keptWithinMs?: number
}

/** A fresh mount with one authority and one role, and a way to it that can be broken. */
async function givenMount({ role: settings = {}, spec = {}, keptWithinMs = 300 }: Options = {}) {
  const mount = `pki-${randomUUID()}`
  const role = 'app'
  const credential = `kit-${randomUUID()}`
  await ask('POST', `sys/mounts/${mount}`, { type: 'pki', config: { max_lease_ttl: '8760h' } })
  await ask('POST', `${mount}/root/generate/internal`, { common_name: 'Kit', key_type: 'ec', ttl: '8000h' })
  await ask('POST', `${mount}/roles/${role}`, { ...GOOD, ...settings })
  const token = await tokenFor(mount)
  const proxy = await startFaultProxy(vaultAddr)
  const connect = (addr: string) => withToken({ addr, token, timeoutMs: 5_000 })
  const [broken, good] = [connect(proxy.url), connect(vaultAddr)]
  const keyIds: Record<number, string> = {}
  const of = (client: VaultClient, other: Partial<VaultPkiCertificateSpec> = {}) =>
    pkiCertificate(
      client,
      {
        mount,
        role,
        commonName: 'app.internal.example',
        dnsNames: [],
        ipAddresses: [],
        uris: [],
        ttl: '12h',
        mark: 'uri',
        ...spec,
        ...other,
      },
      { credential, keyIds, keptWithinMs },
    )
  return {
    authority: of(broken),
    another: of(good),
    of,
    mount,
    role,
    credential,
    keyIds,
    client: good,
    proxy,
    faults: proxyFaults(proxy, {
      status: 429,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ errors: ['request path "pki/x": rate limit quota exceeded'] }),
    }),
    provider: {
      keep({ generation, keyId }: StoredValue) {
        keyIds[generation] = keyId
      },
      async foreignMint() {
        const { data } = await ask('POST', `${mount}/issue/${role}`, {
          common_name: 'app.internal.example',
          ttl: '1h',
        })
        return String(data?.serial_number)
      },
      tellsForeign: true,
      /** What comes before is in every key of the type. */
      secretOf: (value: Secret) =>
        Secret.of((bundleParts(value).key.reveal().split('\n')[1] ?? '').slice(-24) + plainEnd(value)),
    },
    async close() {
      broken.close()
      good.close()
      await proxy.close()
      await ask('DELETE', `sys/mounts/${mount}`)
      await ask('DELETE', `sys/policies/acl/${mount}`)
    },
  }
}

const plainEnd = (value: Secret) => bundleParts(value).key.reveal().split('\n').slice(2, -2).join('\n')

testAuthority('vault-pki-certificate', givenMount)

/** For one test alone. */
async function given(options?: Options) {
  const made = await givenMount(options)
  onTestFinished(() => made.close())
  const mint = async (generation: number, by = made.another, bound: { urgent?: boolean } = {}) => {
    const { list, mint: make } = by
    if (!list || !make) throw new Error('it cannot mint')
    const minted = await make(await list(call('r.list')), { ...call('r.stage'), ...bound }, generation)
    made.provider.keep({ generation, ...minted })
    return { generation, ...minted }
  }
  return { ...made, mint }
}

const seenOf = async ({ another }: Awaited<ReturnType<typeof given>>, { value }: StoredValue) =>
  (await another.probe(value, call('r.probe')))[0]?.seen

describe('a certificate', () => {
  test('comes with its key and its chain in one text, under its serial number, with the names that were asked for', async () => {
    const { mint, credential } = await given({
      role: { allowed_uri_sans: ['rekey://*', 'spiffe://example.org/*'] },
      spec: {
        dnsNames: ['www.internal.example'],
        ipAddresses: ['127.0.0.1', '::1'],
        uris: ['spiffe://example.org/app'],
      },
    })
    const { value, keyId } = await mint(1)
    const { certificate, chain, key } = bundleParts(value)
    const { serialNumber, subjectAltName, subject } = new X509Certificate(certificate)
    expect(keyId.replaceAll(':', '').toUpperCase()).toBe(serialNumber)
    expect(subject).toBe('CN=app.internal.example')
    for (const name of [
      'DNS:www.internal.example',
      'IP Address:127.0.0.1',
      'IP Address:0:0:0:0:0:0:0:1',
      'URI:spiffe://example.org/app',
      `URI:rekey://${credential}/1`,
    ])
      expect(subjectAltName?.split(', ')).toContain(name)
    expect(new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key.reveal()))).toBe(true)
    // The issuer is the root here, which who verifies has.
    expect(chain).toEqual([])
    expect(value.reveal().startsWith('-----BEGIN CERTIFICATE-----')).toBe(true)
  })

  test('is marked in the subject where there shall be no URI but its own', async () => {
    const { mint, credential } = await given({ spec: { mark: 'subject' } })
    const { subject, subjectAltName } = new X509Certificate(bundleParts((await mint(1)).value).certificate)
    expect(subject).toContain(`serialNumber=rekey/${credential}/1`)
    expect(subjectAltName).toBe('DNS:app.internal.example')
  })

  test('that was given up before its number was known is revoked by its mark, and nothing beside it', async () => {
    const made = await given()
    const { another, keyIds, mint, provider, client, mount, of } = made
    const [first, theirs, second] = [await mint(1), await provider.foreignMint(), await mint(2)]
    const subject = of(client, { mark: 'subject' })
    delete keyIds[1]
    await another.revoke?.(1, call('r.revoke'))
    expect(await seenOf(made, first)).toBe('revoked')
    expect(await seenOf(made, second)).toBe('valid and not on the crl')
    expect((await client.certificateList(mount)).toSorted()).toEqual([theirs, second.keyId].toSorted())
    delete keyIds[2]
    // With the other kind of mark from now on, it is still known for what it is.
    await subject.revoke?.(2, call('r.revoke'))
    expect(await client.certificateList(mount)).toEqual([theirs])
  })

  test('is not known as good by an authority of another mount', async () => {
    const [one, other] = [await given(), await given()]
    const value = await one.mint(1)
    expect(await seenOf(other, value)).toBe('not issued by this mount')
  })

  test('with the key of another one shows nothing, and is not installed', async () => {
    const made = await given()
    const [first, second] = [await made.mint(1), await made.mint(2)]
    const mixed = bundleText({ ...bundleParts(first.value), key: bundleParts(second.value).key })
    expect(await seenOf(made, { ...first, value: mixed })).toBe('key of another certificate')
    const installing = made.another.install?.({ ...first, value: mixed }, call('r.install'))
    await safeErrorOf(installing ?? Promise.resolve(), bundleParts(second.value).key)
  })

  test('is still judged by its own authority when the mount has got another one', async () => {
    const made = await given()
    const old = await made.mint(1)
    await ask('POST', `${made.mount}/root/rotate/internal`, { common_name: 'Next', key_type: 'rsa' })
    await ask('POST', `${made.mount}/root/replace`, { default: 'next' })
    const next = await made.mint(2)
    for (const value of [old, next]) expect(await seenOf(made, value)).toBe('valid and not on the crl')
    await made.another.revoke?.(1, call('r.revoke'))
    expect(await seenOf(made, old)).toBe('revoked')
    expect(await seenOf(made, next)).toBe('valid and not on the crl')
  })

  test('of an intermediate authority comes with that, and without the root', async () => {
    const made = await given()
    const { mount } = made
    const { data } = await ask('POST', `${mount}/intermediate/generate/internal`, { common_name: 'Middle' })
    const signed = await ask('POST', `${mount}/root/sign-intermediate`, { csr: data?.csr, ttl: '4000h' })
    const set = await ask('POST', `${mount}/intermediate/set-signed`, {
      certificate: signed.data?.certificate,
    })
    const issuer = String([set.data?.imported_issuers].flat()[0])
    await ask('POST', `${mount}/config/issuers`, { default: issuer })
    const value = await made.mint(1)
    const { chain } = bundleParts(value.value)
    expect(chain.map((pem) => new X509Certificate(pem).subject)).toEqual(['CN=Middle'])
    expect(await seenOf(made, value)).toBe('valid and not on the crl')
    await made.another.revoke?.(1, call('r.revoke'))
    expect(await seenOf(made, value)).toBe('revoked')
  })
})

describe('a certificate whose making was cut off', () => {
  const kinds = (['uri', 'subject'] as const).flatMap((mark) =>
    (['loseReply', 'loseRequest'] as const).flatMap((fault) =>
      [5, 6, 7, 8].map((nth) => ({ mark, fault, nth })),
    ),
  )

  // Later than the kit gets: the request that issues is among these, whatever is asked side by side before it.
  test.each(kinds)('leaves one, and nothing beside it: $mark, $fault $nth', async ({ mark, fault, nth }) => {
    const { authority, another, faults, client, mount, mint, provider } = await given({ spec: { mark } })
    const first = await mint(1)
    const [theirs, noted] = [await provider.foreignMint(), [first.keyId]]
    const attempt = (by: typeof authority) =>
      by.mint?.(noted, call('r.stage'), 2) ?? Promise.reject(new Error('it cannot mint'))
    faults[fault](nth)
    const made = await attempt(authority).catch(() => undefined)
    faults.heal()
    const kept =
      made ??
      (await vi.waitFor(() => attempt(another), {
        timeout: 10_000,
        interval: 100,
      }))
    expect((await client.certificateList(mount)).toSorted()).toEqual(
      [first.keyId, theirs, kept.keyId].toSorted(),
    )
  })
})

describe('its end', () => {
  test('is shown by the CRL at once, also where Vault makes that anew by itself only', async () => {
    const made = await given()
    await ask('POST', `${made.mount}/config/crl`, { auto_rebuild: true })
    const [first, second] = [await made.mint(1), await made.mint(2)]
    await ask('POST', `${made.mount}/revoke`, { serial_number: second.keyId })
    expect(await seenOf(made, second)).toBe('valid and not on the crl')
    await made.another.revoke?.(1, call('r.revoke'))
    expect(await seenOf(made, first)).toBe('revoked')
  })

  test('comes by itself: it is refused from then on, frees its place, and its revocation succeeds', async () => {
    const made = await given({ spec: { ttl: '1m' } })
    // Vault has seconds; the documents of Rekey have minutes.
    const short = async () => {
      const uri = `rekey://${made.credential}/1`
      const params = { commonName: 'app.internal.example', uriSans: [uri], ttlSeconds: 2 }
      const issued = await made.client.pkiIssue(made.role, params, { mount: made.mount })
      const { certificate, privateKey: key, serial } = issued
      return { generation: 1, keyId: serial, value: bundleText({ certificate, chain: [], key }) }
    }
    const value = await short()
    made.provider.keep(value)
    await made.mint(2)
    await expect.poll(() => seenOf(made, value), { timeout: 5_000 }).toBe('expired')
    await made.mint(3)
    await made.another.revoke?.(1, call('r.revoke'))
    const installing = made.another.install?.(value, call('r.install')) ?? Promise.resolve()
    expect((await safeErrorOf(installing)).code).toBe('not_allowed_now')
  })

  test('is not seen by who looks for its use, and is not looked for where nodes see it', async () => {
    const made = await given()
    expect(made.another.lastUsed).toBeUndefined()
    const unseen = made.of(made.client, { longestUse: '1h' })
    await made.mint(1)
    expect(await unseen.lastUsed?.(1, call('r.look'))).toBeNull()
  })
})

test('a CRL whose time is over is made anew, for nobody else may ask for that', async () => {
  const made = await given()
  await ask('POST', `${made.mount}/config/crl`, { expiry: '3s' })
  const value = await made.mint(1)
  await delay(3_500)
  await made.another.install?.(value, call('r.install'))
  await delay(3_500)
  expect(await seenOf(made, value)).toBe('valid and not on the crl')
})

describe('nothing is issued', () => {
  const refused = async (options: Options, change?: (mount: string) => Promise<unknown>) => {
    const made = await given(options)
    await change?.(made.mount)
    const error = await safeErrorOf(made.mint(1))
    expect(await made.client.certificateList(made.mount)).toEqual([])
    return error
  }

  test.each<[string, Options, string]>([
    ['by a role that makes no keys', { role: { key_type: 'any' } }, 'key_type=ec'],
    ['that Vault would not keep', { role: { no_store: true } }, 'no_store=false'],
    [
      'that would end with the token of the rotator',
      { role: { generate_lease: true } },
      'generate_lease=false',
    ],
    ['that would end earlier than was asked', { role: { max_ttl: '1h' } }, 'raise max_ttl of the role'],
    ['with a common name that the role forbids', { spec: { commonName: 'evil.example' } }, 'common name'],
    ['with a further name that the role forbids', { spec: { dnsNames: ['evil.example'] } }, 'alternate name'],
    ['without a mark that the role allows', { role: { allowed_uri_sans: [] } }, 'does not allow this URI'],
    [
      'without a mark in the subject that the role allows',
      { role: { allowed_serial_numbers: [] }, spec: { mark: 'subject' } },
      'does not allow this serial number',
    ],
    [
      'with addresses that the role forbids',
      { role: { allow_ip_sans: false }, spec: { ipAddresses: ['127.0.0.1'] } },
      'IP addresses',
    ],
    ['that would outlive its authority', { role: { max_ttl: '9000h' }, spec: { ttl: '360d' } }, 'outlive'],
  ])('%s', async (_, options, says) => {
    const error = await refused(options)
    expect(error.code).toBe('invalid_configuration')
    expect(error.message).toContain(says)
  })

  test('where there is no CRL to show its end', async () => {
    const error = await refused({}, (mount) => ask('POST', `${mount}/config/crl`, { disable: true }))
    expect(error).toMatchObject({ code: 'invalid_configuration' })
    expect(error.message).toContain('config/crl disable=false')
  })

  test('by a role that is not there, or a mount', async () => {
    const made = await given()
    for (const other of [{ role: 'nobody' }, { mount: `${made.mount}x` }]) {
      const root = withToken({ addr: vaultAddr, token: Secret.of(vaultRootToken) })
      const error = await safeErrorOf(made.mint(1, made.of(root, other)))
      expect(error.code).toBe('not_found')
    }
  })

  test.each(['../sys', 'a?b', 'a#b', 'a%2fb', 'a\nb', 'a/../b', ''])('by a role named %j', async (role) => {
    const made = await given()
    expect((await safeErrorOf(made.mint(1, made.of(made.client, { role })))).code).toBe(
      'invalid_configuration',
    )
    expect((await safeErrorOf(made.mint(1, made.of(made.client, { mount: `x/${role}/y` })))).code).toBe(
      'invalid_configuration',
    )
  })

  test("for Rekey's own mount, which the rotator has no right to", async () => {
    const made = await given()
    const own = made.of(made.client, { mount: 'pki', role: 'rekey-node' })
    expect((await safeErrorOf(made.mint(1, own))).code).toBe('permission_denied')
    const revoking = made.of(made.client, { mount: 'pki' }).discard?.('00:11', call('r.discard'))
    expect((await safeErrorOf(revoking ?? Promise.resolve())).code).toBe('permission_denied')
  })

  test('by a Vault that is sealed, and the step is retried', async () => {
    const made = await given()
    const value = await made.mint(1)
    made.proxy.arm('every', {
      kind: 'answer',
      status: 503,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ errors: ['Vault is sealed'] }),
    })
    expect(await safeErrorOf(made.mint(2, made.authority))).toMatchObject({ code: 'sealed', retryable: true })
    expect(await made.authority.probe(value.value, call('r.probe'))).toEqual([
      { endpoint: 'crl', verdict: 'unknown', seen: 'sealed' },
    ])
  })
})

test('an emergency gets its certificate by a role that was changed meanwhile', async () => {
  const made = await given()
  await made.mint(1)
  await ask('POST', `${made.mount}/roles/app`, { ...GOOD, max_ttl: '1h', generate_lease: false })
  expect((await safeErrorOf(made.mint(2))).message).toContain('raise max_ttl')
  expect((await made.mint(2, made.another, { urgent: true })).keyId).not.toBe('')
})
