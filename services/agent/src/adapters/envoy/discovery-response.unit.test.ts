import { createPrivateKey, webcrypto, X509Certificate } from 'node:crypto'
import { Secret } from '@rekey/contracts'
import { certificateAuthority, newKeys } from '@rekey/testing/certificates'
import { expect, test } from 'vitest'
import { contentOf, normalSerial, serialOf, versionOf } from './discovery-response.ts'

const accepted = (text: string) => ({ generation: 2, keyId: 'chat.g2', value: Secret.of(text) })
const issued = async () =>
  (await certificateAuthority()).issue([{ type: 'dns', value: 'shop.internal.example' }])
const otherKey = async () => {
  const { privateKey } = await newKeys()
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', privateKey))
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    .export({ format: 'pem', type: 'pkcs8' })
    .toString()
}
const parsed = (text: string) => JSON.parse(text)

test('a key is a generic secret, whose version is its key id', () => {
  const text = contentOf(accepted('value-2'), 'provider-key', 'generic')
  expect(parsed(text)).toEqual({
    version_info: 'chat.g2',
    resources: [
      {
        '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
        name: 'provider-key',
        generic_secret: { secret: { inline_string: 'value-2' } },
      },
    ],
  })
  expect(text.endsWith('}\n')).toBe(true)
})

test('with nothing to present a generic secret is empty, and there is no certificate', () => {
  expect(parsed(contentOf(undefined, 'provider-key', 'generic'))).toMatchObject({
    version_info: 'none',
    resources: [{ name: 'provider-key', generic_secret: { secret: { inline_string: '' } } }],
  })
  expect(parsed(contentOf(undefined, 'shop-tls', 'tls'))).toEqual({ version_info: 'none', resources: [] })
  expect([versionOf(undefined, 'generic'), versionOf(undefined, 'tls')]).toEqual(['none', ''])
})

test('a bundle is a chain and a key, inline', async () => {
  const [{ cert, key }, other] = [await issued(), await issued()]
  const text = contentOf(accepted(`${cert}${other.cert}${key}`), 'shop-tls', 'tls')
  expect(parsed(text)).toMatchObject({
    version_info: 'chat.g2',
    resources: [
      {
        name: 'shop-tls',
        tls_certificate: {
          certificate_chain: { inline_string: `${cert}${other.cert}` },
          private_key: { inline_string: key },
        },
      },
    ],
  })
})

test.each(['a\r\nx-other: 1', 'a\nb', '\0', 'a\u007f'])(
  'the key %j fits into no header, and is not quoted',
  (text) => {
    expect(() => contentOf(accepted(text), 'provider-key', 'generic')).toThrow(
      /^the value has control characters, which no header may have$/,
    )
  },
)

test('what is no pair is refused, and not quoted', async () => {
  const { cert, key } = await issued()
  const garbage = (label: string) => `-----BEGIN ${label}-----\nZ2FyYmFnZQ==\n-----END ${label}-----\n`
  for (const text of [
    'garbage',
    `${cert}${await otherKey()}`,
    `${garbage('CERTIFICATE')}${key}`,
    `${cert}${garbage('PRIVATE KEY')}`,
  ])
    expect(() => contentOf(accepted(text), 'shop-tls', 'tls')).toThrow(
      /^the value is no certificate with (its private key, as PEM|the private key that belongs to it)$/,
    )
})

test('a serial number is written as Envoy does', async () => {
  const { cert, key } = await issued()
  expect(serialOf(Secret.of(`${cert}${key}`))).toBe(
    new X509Certificate(cert).serialNumber.toLowerCase().replace(/^0+/, ''),
  )
  expect(['0A1B', '00', '7F'].map(normalSerial)).toEqual(['a1b', '0', '7f'])
})
