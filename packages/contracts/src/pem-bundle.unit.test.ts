import { expect, test } from 'vitest'
import { bundleParts, bundleText } from './pem-bundle.ts'
import { Secret } from './secret.ts'

const block = (label: string, text: string) =>
  `-----BEGIN ${label}-----\n${btoa(text)}\n-----END ${label}-----\n`
const [LEAF, MIDDLE] = [block('CERTIFICATE', 'leaf'), block('CERTIFICATE', 'middle')]
const KEY = block('PRIVATE KEY', 'key')

test('a bundle is one text in the order that servers read, and comes apart as it was', () => {
  const text = bundleText({ certificate: LEAF, chain: [MIDDLE], key: Secret.of(KEY) })
  expect(text.reveal()).toBe(`${LEAF}${MIDDLE}${KEY}`.trimEnd())
  const { certificate, chain, key } = bundleParts(text)
  expect([certificate, chain, key.reveal()]).toEqual([LEAF, [MIDDLE], KEY])
})

test.each([
  ['the key first', `${KEY}${LEAF}${MIDDLE}`],
  ['other line ends', `${LEAF}${MIDDLE}${KEY}`.replaceAll('\n', '\r\n')],
  ['text between the blocks', `subject: CN=app\n${LEAF}# its issuer\n${MIDDLE}\n${KEY}`],
  ['a key of an older form', `${LEAF}${MIDDLE}${block('EC PRIVATE KEY', 'key')}`],
])('a bundle with %s is read', (_, text) => {
  const { certificate, chain, key } = bundleParts(Secret.of(text))
  expect(certificate).toContain(btoa('leaf'))
  expect(chain).toHaveLength(1)
  expect(key.reveal()).toContain('PRIVATE KEY')
})

test.each([
  ['no key', LEAF],
  ['no certificate', KEY],
  ['two keys', `${LEAF}${KEY}${block('PRIVATE KEY', 'other')}`],
  ['a key that is cut off', `${LEAF}${KEY.slice(0, 40)}`],
  ['nothing', ''],
])('what has %s is refused, and not quoted', (_, text) => {
  expect(() => bundleParts(Secret.of(text))).toThrow(
    /^the value is no certificate with its private key, as PEM$/,
  )
})

test('a bundle prints no key', () => {
  const parts = bundleParts(Secret.of(`${LEAF}${KEY}`))
  expect(JSON.stringify(parts)).not.toContain(btoa('key'))
})
