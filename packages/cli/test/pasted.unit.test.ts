import { X509Certificate } from 'node:crypto'
import { certificateAuthority } from '@rekey/testing/certificates'
import { describe, expect, test } from 'vitest'
import { PASTED_BYTES_MAX, readPasted } from '../src/pasted.ts'

const KEY = 'rk_Qm9va3NBcmVOb3RLZXlzQnV0VGhpc0lz'
const read = (text: string) => readPasted(Buffer.from(text))
const candidates = (text: string) => {
  const pasted = read(text)
  return 'candidates' in pasted ? pasted.candidates : []
}

describe('a key is found', () => {
  test.each([
    ['alone', KEY],
    ['with an end of line', `${KEY}\r\n`],
    ['in quotes', `"${KEY}",`],
    ['in the quotes of a text processor', `“${KEY}”`],
    ['with characters that nobody sees', `\uFEFF${KEY.slice(0, 9)}\u200B${KEY.slice(9)}`],
    ['as a bearer', `Bearer ${KEY}`],
    ['in a header', `authorization: Bearer ${KEY}`],
    ['in a header of its own', `x-api-key: ${KEY}`],
    ['in an env file', `# keys\nexport CHAT_KEY="${KEY}"\nOTHER=1\n`],
    ['in YAML', `  apiKey: '${KEY}'`],
    ['in JSON', JSON.stringify({ data: [{ key: KEY }] })],
    ['in lines of JSON', `${JSON.stringify({ a: 1 })}\n${JSON.stringify({ key: KEY })}\n`],
    ['in a DSN', `postgres://app:${KEY}@db.internal:5432/app`],
    ['in a DSN, escaped', `postgres://app:${encodeURIComponent(`${KEY}/+`)}@db:5432/app`, `${KEY}/+`],
    ['in a query', `https://example.org/v1?key=${KEY}&n=1`],
    ['on a command line', `curl -H 'x-api-key: ${KEY}' --key=${KEY} https://example.org`],
    ["as a user's password", `Basic ${Buffer.from(`app:${KEY}`).toString('base64')}`],
    ['in a sentence', `I think I committed ${KEY}; sorry.`],
    ['at the end of a sentence', `I committed ${KEY}!`],
    ['in a DSN in an env file', `DATABASE_URL=postgres://app:${KEY}@db/app`],
    ['in a DSN as an option', `--url=postgres://app:${KEY}@db/app`],
    ['in a DSN without a scheme', `app:${KEY}@tcp(db:3306)/app`],
    ['in a JDBC URL', `jdbc:postgresql://db/app?user=app&password=${KEY}`],
    ['in an access log', `10.0.0.1 - - "GET /v1/models?key=${KEY}&n=1 HTTP/1.1" 200`],
    ['in a form', `a=1&api_key=${KEY}`],
    ['in a fragment', `https://example.org/#access_token=${KEY}&t=1`],
    ['in a link', `see [this](https://example.org/?key=${KEY})`],
    ['in XML', `<key>${KEY}</key>`],
    ['in bold', `**${KEY}**`],
    ['in a diff', `+API_KEY=${KEY}`],
    ['in colours', `\u001b[31m${KEY}\u001b[0m`],
    ['in a paste that a terminal marked', `\u001b[200~${KEY}\u001b[201~`],
    ['in a header in a log in JSON', JSON.stringify({ log: `Authorization: Bearer ${KEY}\n` })],
    ['in JSON in JSON', JSON.stringify({ body: JSON.stringify({ key: KEY }) })],
    ['as a user without a password', `curl -u ${KEY}: https://example.org`],
    ['as that user, encoded', `Basic ${Buffer.from(`${KEY}:`).toString('base64')}`],
    ['in a Kubernetes secret', `data:\n  key: ${Buffer.from(KEY).toString('base64')}`],
    ['as a public id', 'it was key.g2, I think', 'key.g2'],
    ['that begins with a bracket', `{${KEY}}`, `{${KEY}}`],
  ])('%s', (_, text, key = KEY) => {
    expect(candidates(text)).toContain(key)
  })

  describe('a certificate is, by its serial number,', () => {
    const SERIAL = '4c:cb:ef:fb:24:4d:f5:0a:5a:3c:c6:de:e7:d5:6a:f7:f5:f9:bc:e8'
    const HEX = SERIAL.replaceAll(':', '')

    test.each([
      ['as Vault writes it', SERIAL],
      ['as a browser does', `Serial number: ${SERIAL.toUpperCase()}`],
      ['as openssl does', `serial=${HEX.toUpperCase()}`],
      ['in a log in JSON', JSON.stringify({ tls: { client: { serial: HEX } } })],
      ['as a gateway logs it', `10.0.0.1 ssl_c_serial=${HEX}; verify=0`],
    ])('%s', (_, text) => {
      expect(candidates(text)).toContain(SERIAL)
    })

    test('read from the certificate itself', async () => {
      const { issue, ca } = await certificateAuthority()
      const { cert } = await issue([{ type: 'dns', value: 'shop.internal.example' }])
      const serial = (new X509Certificate(cert).serialNumber.toLowerCase().match(/../g) ?? []).join(':')
      expect(candidates(`some words\n${cert}${ca}`)).toContain(serial)
      expect(candidates(JSON.stringify({ crt: cert }))).toContain(serial)
    })

    test('not taken from a longer number', () => {
      expect(candidates(`sha256:${HEX}${HEX}`)).not.toContain(SERIAL)
    })
  })

  test('and another one beside it', () => {
    const other = `${KEY}2`
    expect(candidates(`${KEY}\n${other}`)).toEqual(expect.arrayContaining([KEY, other]))
  })
})

describe('what cannot be asked for is told', () => {
  test.each([
    ['nothing', '', 'nothing was pasted'],
    ['white space', ' \n\t', 'nothing was pasted'],
    ['a word', 'oops', 'as long as a key'],
    ['zero bytes', `${KEY}\0${KEY}`, 'not text'],
    ['ten megabytes', 'x'.repeat(10 * 1024 * 1024), 'more than a key'],
  ])('%s', (_, text, problem) => {
    const pasted = read(text)
    expect('problem' in pasted && pasted.problem).toContain(problem)
    expect(JSON.stringify(pasted)).not.toContain(KEY)
  })

  test('bytes that are no text', () => {
    expect(readPasted(Buffer.from([0xff, 0xfe, 0x41]))).toHaveProperty('problem', 'it is not text')
  })
})

test('the last line of a long text is read like the first, in time', () => {
  const lines = Array.from({ length: 5_000 }, (_, i) => `${i} request-${i}-0123456789`).join('\n')
  expect(candidates(`${lines}\nBearer ${KEY}`)).toContain(KEY)
  // Not with the square of it: that would be minutes.
  expect(candidates(`${KEY}${' '.repeat(PASTED_BYTES_MAX - 100)}x`)).toContain(KEY)
  expect(candidates('{'.repeat(PASTED_BYTES_MAX - 100))).toHaveLength(1)
})
