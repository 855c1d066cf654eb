import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Document } from '@rekey/contracts'
import { loadPolicies, readPolicyFolder } from '@rekey/policy'
import { certificateAuthority } from '@rekey/testing/certificates'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { DOCUMENTS, type GivenControl, givenControl } from './given-control.ts'
import { scriptedWorkers } from './scripted-workers.ts'

/** The command line as its own process, with a client certificate and no token, against control over TLS. */
const MAIN = new URL('./main.ts', import.meta.resolve('@rekey/cli'))

vi.setConfig({ testTimeout: 60_000 })

const policies = loadPolicies(
  readPolicyFolder(fileURLToPath(new URL('../../../examples/policies/', import.meta.url))),
)
const authority = await certificateAuthority()
const own = await authority.issue([{ type: 'ip', value: '127.0.0.1' }])
const holderOf = (name: string) => authority.issue([{ type: 'url', value: `spiffe://example.org/${name}` }])

let control: GivenControl
let dir: string
const ends: (() => unknown)[] = []

beforeEach(async () => {
  control = await givenControl({ policies, tls: { ...own, clientCa: authority.ca } })
  dir = mkdtempSync(join(tmpdir(), 'rekey-certificate-'))
  ends.push(
    () => control.close(),
    () => rmSync(dir, { recursive: true }),
  )
})
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

function file(name: string, text: string): string {
  const path = join(dir, name)
  writeFileSync(path, text, { mode: 0o600 })
  return path
}

function rekey(client: { key: string; cert: string }, ...argv: string[]) {
  const child = spawn(process.execPath, [MAIN.pathname, ...argv], {
    env: {
      PATH: process.env.PATH,
      REKEY_URL: control.url,
      REKEY_CA_FILE: file('ca.pem', authority.ca),
      REKEY_CERT_FILE: file('cert.pem', client.cert),
      REKEY_KEY_FILE: file('key.pem', client.key),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk) => {
    out += chunk
  })
  child.stderr.on('data', (chunk) => {
    err += chunk
  })
  return new Promise<{ exit: number | null; out: string; err: string }>((resolve) =>
    child.on('close', (exit) => resolve({ exit, out, err })),
  )
}

test('a reader by its certificate lists, and watches a rotation to its end', async () => {
  await control.ledger.configure(
    DOCUMENTS.map((one) => Document.parse(one)),
    { apply: true, actor: 'ana' },
  )
  const workers = scriptedWorkers(control.ledger)
  ends.push(() => workers.stop())
  const siem = await holderOf('siem')
  const watched = await rekey(siem, 'watch', 'key-g1')
  expect(watched).toMatchObject({ exit: 0, err: '' })
  expect(watched.out).toContain('key-g1 closed: generation 1 is current in every store')
  expect((await rekey(siem, 'list')).out).toMatch(/key +chat +prod/)
})

test('what no policy gives to the name in it is denied, and journalled under that name', async () => {
  const siem = await holderOf('siem')
  const denied = await rekey(siem, 'contain', 'key', '--reason', 'x')
  expect(denied.exit).toBe(3)
  expect(denied.err).toContain('Certificate::"spiffe://example.org/siem" may not contain')
  const [entry] = await control.ledger.journal({ stream: 'policy' })
  expect(entry).toMatchObject({ actor: 'mtls/spiffe://example.org/siem', data: { action: 'contain' } })
})

test('one of another authority, or with two names, is no way in, and the remedy says what is', async () => {
  const foreign = await (await certificateAuthority()).issue([
    { type: 'url', value: 'spiffe://example.org/siem' },
  ])
  const two = await authority.issue([
    { type: 'url', value: 'spiffe://example.org/siem' },
    { type: 'url', value: 'spiffe://example.org/ana' },
  ])
  for (const client of [foreign, two]) {
    const { exit, err } = await rekey(client, 'list')
    expect(exit).toBe(1)
    expect(err).toContain('neither a client certificate that counts')
    expect(err).toContain('with one SPIFFE ID or one DNS name. Yours: URI:spiffe://example.org/siem')
  }
})
