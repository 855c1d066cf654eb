import { createPrivateKey } from 'node:crypto'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { certificateAuthority } from '@rekey/testing/certificates'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ControlClient } from '../src/control-client.ts'
import { readSettings } from '../src/settings.ts'
import { unreachable } from '../src/unreachable.ts'
import { entry, givenCli, stream } from './given-cli.ts'
import { givenTls } from './given-tls.ts'

const authority = await certificateAuthority()
const stranger = await certificateAuthority()
const own = await authority.issue([{ type: 'ip', value: '127.0.0.1' }])
const siem = await authority.issue([{ type: 'url', value: 'spiffe://example.org/siem' }])
const trusting = { ...own, ca: authority.ca }

let cli: Awaited<ReturnType<typeof givenCli>>
let server: Awaited<ReturnType<typeof givenTls>>
const ends: (() => Promise<unknown>)[] = []
beforeEach(async () => {
  cli = await givenCli()
  ends.push(() => cli.close())
})
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function given(...options: Parameters<typeof givenTls>) {
  server = await givenTls(...options)
  ends.push(() => server.close())
}

/** Files with these certificates, as the environment names them; no token. */
function files({ key, cert }: { key: string; cert: string }, ca = authority.ca) {
  return {
    REKEY_URL: server?.url,
    REKEY_TOKEN_FILE: '',
    REKEY_CA_FILE: cli.file('ca.pem', ca),
    REKEY_CERT_FILE: cli.file('cert.pem', cert),
    REKEY_KEY_FILE: cli.file('key.pem', key),
  }
}

describe('a client certificate', () => {
  test('is a way in without a token', async () => {
    await given(trusting)
    const { exit, err } = await cli.rekey(['list', 'nodes'], { env: files(siem) })
    expect({ exit, err }).toEqual({ exit: 0, err: '' })
    expect(server.asked).toEqual([
      { url: '/v1/nodes', names: 'URI:spiffe://example.org/siem', authorization: undefined },
    ])
  })

  test('is shown beside a token where there is one, which counts', async () => {
    await given(trusting)
    const env = { ...files(siem), REKEY_TOKEN_FILE: cli.tokenFile }
    expect((await cli.rekey(['list', 'nodes'], { env })).exit).toBe(0)
    expect(server.asked).toMatchObject([
      { names: 'URI:spiffe://example.org/siem', authorization: expect.stringContaining('Bearer ') },
    ])
  })

  test('goes with orders, and with a watch to its end', async () => {
    const watched = stream([entry('RotationClosed', { outcome: 'closed', exceptions: [] })], 'closed')
    await given(trusting, (request, response) => {
      if (request.url?.includes('/watch')) return watched({} as never, response)
      if (request.url?.includes('/rotate')) return { rotation: 'key-g2', how: 'opened' }
      return { id: 'key-g2', holds: [] }
    })
    const env = files(siem)
    const { exit } = await cli.rekey(['rotate', 'key', '--reason', 'x', '--wait'], { env })
    expect(exit).toBe(0)
    expect(server.asked.length).toBeGreaterThan(1)
    expect(new Set(server.asked.map(({ names }) => names))).toEqual(
      new Set(['URI:spiffe://example.org/siem']),
    )
  })

  test('that is renewed in its files is shown from then on', async () => {
    await given(trusting)
    const client = new ControlClient(readSettings({}, files(siem)))
    await client.nodes()
    files(await authority.issue([{ type: 'url', value: 'spiffe://example.org/next' }]))
    await client.nodes()
    expect(server.asked.map(({ names }) => names)).toEqual([
      'URI:spiffe://example.org/siem',
      'URI:spiffe://example.org/next',
    ])
  })

  test('that control does not take: the remedy says what is taken, and whose this one is', async () => {
    await given(trusting)
    const foreign = await stranger.issue([{ type: 'url', value: 'spiffe://example.org/siem' }])
    const { exit, err } = await cli.rekey(['list', 'nodes'], { env: files(foreign) })
    expect(exit).toBe(1)
    expect(err).toContain('no certificate that counts')
    expect(err).toMatch(
      /with one SPIFFE ID or one DNS name\. Yours: URI:spiffe:\/\/example.org\/siem, until /,
    )
    expect(err).not.toContain('token')
  })

  test('for which the connection is cut: the remedy thinks of it', async () => {
    await given({ ...trusting, rejectUnauthorized: true })
    const foreign = await stranger.issue([{ type: 'url', value: 'spiffe://example.org/siem' }])
    const { exit, err } = await cli.rekey(['list', 'nodes'], { env: files(foreign) })
    expect(exit).toBe(1)
    expect(err).toContain('A proxy in front of it may want another client certificate.')
    expect(server.asked).toEqual([])
  })

  // As OpenSSL's own server answers, under TLS 1.3 and 1.2; Node's only cuts the connection.
  test.each([
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'tlsv13 alert certificate required'],
    ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'tlsv1 alert unknown ca'],
    ['EPROTO', 'write EPROTO 40:error:0A000412:SSL routines:ssl3_read_bytes:ssl/tls alert bad certificate'],
    ['EPROTO', 'write EPROTO 40:error:0A000410:SSL routines:ssl3_read_bytes:ssl/tls alert handshake failure'],
  ])('that is refused by an alert: %s', (code, message) => {
    const error = Object.assign(new Error(message), { code })
    for (const one of [error, new TypeError('fetch failed', { cause: error })])
      expect(unreachable(new URL('https://control'), one)).toMatchObject({
        code: 'certificate_refused',
        remedy: expect.stringContaining('REKEY_CERT_FILE and REKEY_KEY_FILE'),
      })
  })
})

describe("control's own certificate", () => {
  const list = (env: NodeJS.ProcessEnv) => cli.rekey(['list', 'nodes'], { env })

  test('of an authority that is not believed', async () => {
    await given(trusting)
    const remedy = 'REKEY_CA_FILE'
    const unknown = await list({ ...files(siem), REKEY_CA_FILE: '' })
    expect(unknown.err).toMatch(/is not trusted \(\w+\)/)
    expect(unknown.err).toContain(remedy)
    const other = await list(files(siem, stranger.ca))
    expect(other.err).toMatch(/is not trusted \(\w+\)/)
    // The same without files at all, where fetch does it.
    const plain = await list({ REKEY_URL: server.url })
    expect(plain.err).toMatch(/is not trusted \(\w+\)/)
    expect(plain.err).toContain(remedy)
    expect(server.asked).toEqual([])
  })

  test('with another name, or one that has ended', async () => {
    await given(trusting)
    const renamed = await list({ ...files(siem), REKEY_URL: `https://localhost:${server.port}` })
    expect(renamed.err).toContain('is not trusted (ERR_TLS_CERT_ALTNAME_INVALID)')
    expect(renamed.err).toContain('Use a name of control that stands in its certificate')
    const past = { notBefore: new Date('2020-01-01'), notAfter: new Date('2020-02-01') }
    await given({ ...(await authority.issue([{ type: 'ip', value: '127.0.0.1' }], past)), ca: authority.ca })
    const ended = await list(files(siem))
    expect(ended.err).toContain('is not trusted (CERT_HAS_EXPIRED)')
    expect(ended.err).toContain('control needs a new certificate')
  })

  test('is believed by its authority alone, with a token as the way in', async () => {
    await given(trusting)
    const env = { REKEY_URL: server.url, REKEY_CA_FILE: cli.file('ca.pem', authority.ca) }
    expect((await list(env)).exit).toBe(0)
    expect(server.asked).toMatchObject([{ names: undefined, authorization: expect.any(String) }])
  })
})

describe('files that are wrong are named before anything is sent', () => {
  const fail = async (over: NodeJS.ProcessEnv) => {
    const { exit, err } = await cli.rekey(['list', 'nodes'], {
      env: { ...files(siem), REKEY_URL: 'https://127.0.0.1:1', ...over },
    })
    expect(exit).toBe(1)
    return err
  }

  test.each(['REKEY_CA_FILE', 'REKEY_CERT_FILE', 'REKEY_KEY_FILE'])('%s', async (name) => {
    expect(await fail({ [name]: '/nothing' })).toContain(`cannot read ${name} /nothing: ENOENT`)
    const folder = join(cli.dir, 'folder')
    mkdirSync(folder)
    expect(await fail({ [name]: folder })).toContain(`cannot read ${name} ${folder}: EISDIR`)
    const rubbish = cli.file('rubbish', '-----BEGIN NOTHING-----\nsecret-looking\n')
    const err = await fail({ [name]: rubbish })
    expect(err).toMatch(/holds no (certificate|private key) in PEM/)
    expect(err).not.toContain('secret-looking')
  })

  test('one that may not be read', async ({ skip }) => {
    if (process.getuid?.() === 0) skip('root reads everything')
    const file = cli.file('hidden.pem', siem.key)
    chmodSync(file, 0)
    expect(await fail({ REKEY_KEY_FILE: file })).toContain('EACCES')
  })

  test('a certificate without its key, and the reverse', async () => {
    expect(await fail({ REKEY_KEY_FILE: '' })).toContain('REKEY_CERT_FILE is set without REKEY_KEY_FILE')
    expect(await fail({ REKEY_CERT_FILE: '' })).toContain('REKEY_KEY_FILE is set without REKEY_CERT_FILE')
  })

  test("another certificate's key, and an encrypted one, of which nothing is shown", async () => {
    expect(await fail({ REKEY_KEY_FILE: cli.file('other.pem', own.key) })).toMatch(
      /the private key in \S+other\.pem is not that of the certificate in \S+cert\.pem/,
    )
    const sealed = createPrivateKey(siem.key)
      .export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'x' })
      .toString()
    const err = await fail({ REKEY_KEY_FILE: cli.file('sealed.pem', sealed) })
    expect(err).toContain('is encrypted')
    expect(err).not.toContain(sealed.split('\n')[1])
  })

  test('with an address that is not https', async () => {
    expect(await fail({ REKEY_URL: cli.url })).toContain('is not https, and knows no certificates')
    expect(cli.seen).toEqual([])
  })
})

test('a control that does not answer over TLS is given up in time', async () => {
  await given(trusting, () => undefined)
  const client = new ControlClient({ ...readSettings({}, files(siem)), timeoutMs: 100 })
  await expect(client.nodes()).rejects.toMatchObject({ code: 'backend_timeout' })
  writeFileSync(join(cli.dir, 'key.pem'), own.key)
  await expect(client.nodes()).rejects.toMatchObject({ code: 'bad_usage' })
})
