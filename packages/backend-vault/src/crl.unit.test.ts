import 'reflect-metadata'
import { webcrypto, X509Certificate } from 'node:crypto'
import {
  BasicConstraintsExtension,
  Extension,
  X509CertificateGenerator,
  X509CrlGenerator,
} from '@peculiar/x509'
import { describe, expect, test } from 'vitest'
import { standing } from './crl.ts'

const NOW = Date.parse('2026-11-22T12:00:00Z')
const at = (minutes: number) => new Date(NOW + minutes * 60_000)

const KINDS = {
  ec: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  'ec 384': { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' },
  rsa: {
    name: 'RSASSA-PKCS1-v1_5',
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
    hash: 'SHA-256',
  },
  ed25519: { name: 'Ed25519' },
} as const
type Kind = keyof typeof KINDS

/** An authority, a certificate of it, and whatever CRL it is made to sign. */
async function givenAuthority(kind: Kind = 'ec', { issuerUntil = 600 } = {}) {
  const signingAlgorithm = KINDS[kind]
  const newKeys = () =>
    webcrypto.subtle.generateKey(signingAlgorithm, true, [
      'sign',
      'verify',
    ]) as Promise<webcrypto.CryptoKeyPair>
  const keys = await newKeys()
  const root = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=Test CA',
    keys,
    signingAlgorithm,
    notBefore: at(-600),
    notAfter: at(issuerUntil),
    extensions: [new BasicConstraintsExtension(true, undefined, true)],
  })
  const leaf = await X509CertificateGenerator.create({
    serialNumber: '00a1b2c3',
    issuer: root.subject,
    subject: 'CN=app',
    publicKey: (await newKeys()).publicKey,
    signingKey: keys.privateKey,
    signingAlgorithm,
    notBefore: at(-60),
    notAfter: at(60),
  })
  const crl = async (serials: string[], { from = -10, to = 10, extensions = [] as Extension[] } = {}) =>
    (
      await X509CrlGenerator.create({
        issuer: root.subject,
        thisUpdate: at(from),
        nextUpdate: at(to),
        entries: serials.map((serialNumber) => ({ serialNumber, revocationDate: at(-5) })),
        extensions,
        signingAlgorithm,
        signingKey: keys.privateKey,
      })
    ).toString('pem')
  return {
    issuer: new X509Certificate(root.toString('pem')),
    leaf: new X509Certificate(leaf.toString('pem')),
    crl,
  }
}

describe.each(Object.keys(KINDS) as Kind[])('of an authority with a key of type %s', (kind) => {
  test('what stands on its CRL is refused, and what does not is accepted', async () => {
    const { leaf, issuer, crl } = await givenAuthority(kind)
    const others = ['a1b2c4', '01a1b2c3', 'a1b2']
    expect(await standing(leaf, issuer, await crl([...others, 'a1b2c3']), NOW)).toMatchObject({
      verdict: 'refused',
    })
    for (const serials of [others, []])
      expect(await standing(leaf, issuer, await crl(serials), NOW)).toMatchObject({ verdict: 'accepted' })
  })
})

test('a CRL that somebody else signed shows nothing, under whatever name', async () => {
  const { leaf, issuer } = await givenAuthority()
  const other = await givenAuthority()
  for (const serials of [['a1b2c3'], []])
    expect(await standing(leaf, issuer, await other.crl(serials), NOW)).toEqual({
      verdict: 'unknown',
      seen: 'crl not signed by the issuer',
    })
  const rsa = await givenAuthority('rsa')
  expect(await standing(leaf, issuer, await rsa.crl(['a1b2c3']), NOW)).toMatchObject({ verdict: 'unknown' })
})

test('a CRL that was altered shows nothing', async () => {
  const { leaf, issuer, crl } = await givenAuthority()
  const der = Buffer.from((await crl(['a1b2c4'])).replace(/-----[^-]+-----/g, ''), 'base64')
  const serialAt = der.indexOf('a1b2c4', 0, 'hex')
  der[serialAt + 2] = 0xc3
  const altered = `-----BEGIN X509 CRL-----\n${der.toString('base64')}\n-----END X509 CRL-----\n`
  expect(serialAt).toBeGreaterThan(0)
  expect(await standing(leaf, issuer, altered, NOW)).toMatchObject({ verdict: 'unknown' })
})

test.each([
  ['before it is in force', { from: 2, to: 10 }],
  ['when the next one is due', { from: -10, to: 0 }],
])('a CRL shows nothing %s', async (_, life) => {
  const { leaf, issuer, crl } = await givenAuthority()
  for (const serials of [['a1b2c3'], []])
    expect(await standing(leaf, issuer, await crl(serials, life), NOW)).toEqual({
      verdict: 'unknown',
      seen: 'crl out of date',
    })
})

test('what is no CRL shows nothing', async () => {
  const { leaf, issuer } = await givenAuthority()
  for (const text of ['', 'x', '-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n'])
    expect(await standing(leaf, issuer, text, NOW)).toMatchObject({ verdict: 'unknown' })
})

test('an expired certificate is dead whatever the CRL says, and one that is not valid yet shows nothing', async () => {
  const { leaf, issuer } = await givenAuthority()
  expect(await standing(leaf, issuer, '', at(60).getTime())).toEqual({ verdict: 'refused', seen: 'expired' })
  expect(await standing(leaf, issuer, '', at(-61).getTime())).toEqual({
    verdict: 'unknown',
    seen: 'not valid yet',
  })
})

test.each([
  ['what came since another one', '2.5.29.27', '020101'],
  ['some of the certificates', '2.5.29.28', '30038101ff'],
])('a CRL of %s shows nothing', async (_, oid, der) => {
  const { leaf, issuer, crl } = await givenAuthority()
  const extensions = [new Extension(oid, true, Buffer.from(der, 'hex'))]
  for (const serials of [['a1b2c3'], []])
    expect(await standing(leaf, issuer, await crl(serials, { extensions }), NOW)).toEqual({
      verdict: 'unknown',
      seen: 'crl of a part',
    })
})

test('an issuer whose own time is over shows nothing', async () => {
  const { leaf, issuer, crl } = await givenAuthority('ec', { issuerUntil: 30 })
  const later = at(31).getTime()
  expect(await standing(leaf, issuer, await crl([], { to: 60 }), later)).toEqual({
    verdict: 'unknown',
    seen: 'issuer out of its time',
  })
})
