import { Secret } from '@rekey/contracts'
import { exportJWK, type GenerateKeyPairResult, generateKeyPair, type JSONWebKeySet, SignJWT } from 'jose'

export const ISSUER = 'https://login.example.org'
export const AUDIENCE = 'rekey'
export const SHARED = Secret.of('a-token-that-only-tests-know')

type Signer = Pick<GenerateKeyPairResult, 'privateKey' | 'publicKey'> & { alg: string; kid: string }

/** An identity provider in memory: it has keys, and signs whatever it is asked to. */
export async function givenIssuer(alg = 'ES256') {
  const signers = [await newSigner(alg)]
  const latest = (): Signer => {
    const last = signers.at(-1)
    if (!last) throw new Error('the issuer has no key')
    return last
  }
  return {
    latest,
    /** Its public keys, as it publishes them. */
    async jwks(): Promise<JSONWebKeySet> {
      const keys = signers.map(async ({ publicKey, kid, alg }) => ({
        ...(await exportJWK(publicKey)),
        kid,
        alg,
      }))
      return { keys: await Promise.all(keys) }
    },
    /** Tokens are signed with a new key from here on; `drop`: the old one is taken back. */
    async newKey(options: { drop?: boolean } = {}): Promise<void> {
      if (options.drop) signers.length = 0
      signers.push(await newSigner(alg))
    },
    /** A token of now for five minutes, but for what is given. */
    token(
      claims: Record<string, unknown> = {},
      header: { alg?: string; kid?: string } = {},
      signer = latest(),
    ): Promise<string> {
      const now = Math.floor(Date.now() / 1_000)
      const whole = {
        iss: ISSUER,
        aud: AUDIENCE,
        sub: 'ana',
        iat: now,
        exp: now + 300,
        groups: ['rekey-on-call'],
      }
      return new SignJWT({ ...whole, ...claims })
        .setProtectedHeader({ alg: signer.alg, kid: signer.kid, ...header })
        .sign(signer.privateKey)
    },
  }
}

export type GivenIssuer = Awaited<ReturnType<typeof givenIssuer>>

async function newSigner(alg: string): Promise<Signer> {
  const pair = await generateKeyPair(alg, { extractable: true })
  return { alg, kid: crypto.randomUUID(), privateKey: pair.privateKey, publicKey: pair.publicKey }
}

/** A token that nobody signed. */
export function unsigned(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'none', typ: 'JWT' })}.${part(claims)}.`
}
