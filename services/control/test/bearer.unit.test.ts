import { createHmac } from 'node:crypto'
import { createLocalJWKSet } from 'jose'
import { describe, expect, test } from 'vitest'
import { bearerOfIssuer, type Issuer } from '../src/access/bearer-of-issuer.ts'
import { nameIn } from '../src/access/certificate.ts'
import { AUDIENCE, type GivenIssuer, givenIssuer, ISSUER, unsigned } from './issuer.ts'

const provider = await givenIssuer()
const other = await givenIssuer()
const publicKey = JSON.stringify((await provider.jwks()).keys[0])
const now = () => Math.floor(Date.now() / 1_000)

async function trusting(issuer: GivenIssuer, change: Partial<Issuer> = {}): Promise<Issuer> {
  const find = createLocalJWKSet(await issuer.jwks())
  const keys = { find, refresh: async () => true, close: () => undefined }
  return {
    issuer: ISSUER,
    audience: AUDIENCE,
    nameClaim: 'sub',
    groupsClaim: 'groups',
    skewMs: 30_000,
    keys,
    ...change,
  }
}

describe('a token of the issuer says who it is', () => {
  test.each(['RS256', 'ES256', 'EdDSA'])('%s', async (alg) => {
    const issuer = await givenIssuer(alg)
    expect(await bearerOfIssuer(await issuer.token(), await trusting(issuer))).toEqual({
      type: 'User',
      id: 'ana',
      actor: 'oidc/ana',
      groups: ['rekey-on-call'],
    })
  })

  test('by the claim that is configured; names of pipelines are names', async () => {
    const sub = 'repo:example/app:ref:refs/heads/main'
    const token = await provider.token({ sub, preferred_username: 'ana.b' })
    expect((await bearerOfIssuer(token, await trusting(provider))).actor).toBe(`oidc/${sub}`)
    const named = await trusting(provider, { nameClaim: 'preferred_username' })
    expect((await bearerOfIssuer(token, named)).actor).toBe('oidc/ana.b')
  })

  test.each<[string, object, string, string[]]>([
    ['a list', { groups: ['a', 'b', 'a'] }, 'groups', ['a', 'b']],
    ['one alone', { groups: 'a' }, 'groups', ['a']],
    ['none', { groups: undefined }, 'groups', []],
    ['what are no names', { groups: ['a', 7, null, { b: 1 }] }, 'groups', ['a']],
    ['a path', { realm_access: { roles: ['a'] } }, 'realm_access.roles', ['a']],
    ['a claim with dots in its name', { 'https://x.org/groups': ['a'] }, 'https://x.org/groups', ['a']],
    ['a path to nowhere', { realm_access: 'a' }, 'realm_access.roles.constructor', []],
  ])('its groups are %s', async (_what, claims, groupsClaim, groups) => {
    const token = await provider.token({ ...claims })
    expect((await bearerOfIssuer(token, await trusting(provider, { groupsClaim }))).groups).toEqual(groups)
  })

  test('clocks may differ by so much, and no more', async () => {
    const issuer = await trusting(provider)
    expect(await bearerOfIssuer(await provider.token({ exp: now() - 20 }), issuer)).toMatchObject({
      id: 'ana',
    })
    expect(await bearerOfIssuer(await provider.token({ nbf: now() + 20 }), issuer)).toMatchObject({
      id: 'ana',
    })
  })
})

describe('a token is refused, and what is wrong is said', () => {
  const tampered = async () => {
    const [header, , signature] = (await provider.token()).split('.')
    const claims = { iss: ISSUER, aud: AUDIENCE, sub: 'root', exp: now() + 300 }
    return `${header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${signature}`
  }
  /** The public key as if it were a shared secret: the classic confusion. */
  const confused = () => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const { kid } = provider.latest()
    const text = `${part({ alg: 'HS256', kid })}.${part({ iss: ISSUER, aud: AUDIENCE, sub: 'root', exp: now() + 300 })}`
    return `${text}.${createHmac('sha256', publicKey).update(text).digest('base64url')}`
  }

  test.each<[string, () => string | Promise<string>, string]>([
    ['expired', () => provider.token({ exp: now() - 31 }), 'it has expired'],
    ['without an end', () => provider.token({ exp: undefined }), 'does not say when it expires'],
    ['not valid yet', () => provider.token({ nbf: now() + 40 }), 'not valid yet'],
    ['for somebody else', () => provider.token({ aud: 'grafana' }), 'another audience'],
    ['for nobody', () => provider.token({ aud: undefined }), 'another audience'],
    ['of another issuer', () => provider.token({ iss: 'https://evil.example.org' }), 'another issuer'],
    ['with no name', () => provider.token({ sub: undefined }), 'no claim sub'],
    ['with a name that breaks lines', () => provider.token({ sub: 'a\nb' }), 'no claim sub'],
    ['with a name without end', () => provider.token({ sub: 'a'.repeat(256) }), 'no claim sub'],
    [
      'with groups without end',
      () => provider.token({ groups: Array.from({ length: 1_001 }, String) }),
      'more than 1000',
    ],
    [
      'signed by nobody',
      () => unsigned({ iss: ISSUER, aud: AUDIENCE, sub: 'root', exp: now() + 300 }),
      'not signed with',
    ],
    ['signed with the public key', confused, 'not signed with'],
    ['signed with an unknown key', () => other.token(), 'a key that the issuer does not have'],
    [
      'signed with a key that calls itself as a known one',
      () => other.token({}, { kid: provider.latest().kid }),
      'its signature is wrong',
    ],
    ['changed after it was signed', tampered, 'its signature is wrong'],
    ['no token at all', () => 'hello', 'it cannot be read'],
    ['three parts of nothing', () => 'a.b.c', 'it cannot be read'],
  ])('%s', async (_what, make, why) => {
    const token = await make()
    const refused = bearerOfIssuer(token, await trusting(provider))
    await expect(refused).rejects.toMatchObject({
      code: 'unauthenticated',
      message: expect.stringContaining(why),
    })
    await expect(refused).rejects.not.toMatchObject({ message: expect.stringContaining(token) })
  })
})

test.each([
  ['URI:spiffe://example.org/siem', 'spiffe://example.org/siem'],
  ['DNS:siem.example.org, URI:spiffe://example.org/ci/deployer', 'spiffe://example.org/ci/deployer'],
  ['DNS:siem.example.org', 'siem.example.org'],
  ['IP Address:127.0.0.1', undefined],
  ['URI:spiffe://example.org/a, URI:spiffe://example.org/b', undefined],
  ['URI:https://example.org/a', undefined],
  ['DNS:"a, URI:spiffe://example.org/siem", URI:spiffe://example.org/other', undefined],
  ['DNS:*.example.org', undefined],
  ['URI:spiffe://example.org/a%0ab', undefined],
  ['', undefined],
  [undefined, undefined],
])('of the names %s in a certificate %s counts', (names, name) => {
  expect(nameIn(names)).toBe(name)
})
