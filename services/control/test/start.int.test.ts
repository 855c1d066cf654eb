import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { migrate, openLedger } from '@rekey/ledger'
import { createDatabase } from '@rekey/local'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { AUDIENCE, givenIssuer, ISSUER, SHARED } from './issuer.ts'

/** Control as its own process, as an operator starts it with policies and an issuer of tokens. */
const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const SHIPPED = fileURLToPath(new URL('../../../examples/policies', import.meta.url))

let dir: string
let databaseUrl: string
const ends: (() => unknown)[] = []

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'rekey-control-'))
  cpSync(SHIPPED, join(dir, 'policies'), { recursive: true })
  writeFileSync(join(dir, 'token'), SHARED.reveal())
  const name = `control_${crypto.randomUUID().replaceAll('-', '')}`
  databaseUrl = await createDatabase({ postgres: { url: inject('stack').postgresUrl } }, name)
  await migrate(databaseUrl)
})
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
  rmSync(dir, { recursive: true })
})

/** Ends with the address once it serves, or with all that it said when it did not start. */
function start(env: Record<string, string>) {
  const child = spawn(process.execPath, [MAIN], {
    env: {
      PATH: process.env.PATH,
      DATABASE_URL: databaseUrl,
      CONTROL_PORT: '0',
      CONTROL_TOKEN_FILE: join(dir, 'token'),
      CONTROL_POLICIES_DIR: join(dir, 'policies'),
      CONTROL_OIDC_ISSUER: ISSUER,
      CONTROL_OIDC_AUDIENCE: AUDIENCE,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  const exited = new Promise<number | null>((resolve) => child.on('close', resolve))
  const stop = () => {
    child.kill('SIGTERM')
    return exited
  }
  ends.push(stop)
  const ready = new Promise<{ url: string } | { said: string }>((resolve) => {
    const hear = (chunk: Buffer) => {
      said += chunk
      const url = /"url":"([^"]+)","msg":"control started"/.exec(said)?.[1]
      if (url) resolve({ url })
    }
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
    void exited.then(() => resolve({ said }))
  })
  return { ready, stop }
}

async function address(started: ReturnType<typeof start>): Promise<string> {
  const end = await started.ready
  if ('said' in end) throw new Error(`control did not start: ${end.said}`)
  return end.url
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}`, 'content-type': 'application/json' })

test('it starts without its issuer, lets nobody in by a token, and the shared token does its work', async () => {
  const provider = await givenIssuer()
  const started = start({ CONTROL_OIDC_JWKS_URL: 'http://127.0.0.1:1/jwks' })
  const url = await address(started)
  const token = await fetch(`${url}/v1/nodes`, { headers: bearer(await provider.token()) })
  expect({ status: token.status, body: await token.json() }).toMatchObject({
    status: 503,
    body: { code: 'backend_unavailable' },
  })
  expect((await fetch(`${url}/v1/nodes`, { headers: bearer(SHARED.reveal()) })).status).toBe(200)
})

test('its record says which policies decide, and every denial, also those of its last minute', async () => {
  const provider = await givenIssuer()
  writeFileSync(join(dir, 'jwks.json'), JSON.stringify(await provider.jwks()))
  const started = start({ CONTROL_OIDC_JWKS_FILE: join(dir, 'jwks.json') })
  const url = await address(started)
  const headers = bearer(await provider.token({ sub: 'ci-7', groups: ['rekey-deployers'] }))
  expect((await fetch(`${url}/v1/nodes`, { headers })).status).toBe(200)
  for (let n = 0; n < 3; n++) {
    const body = JSON.stringify({ reason: 'x' })
    const answer = await fetch(`${url}/v1/nodes/n1/gone`, { method: 'POST', headers, body })
    expect(answer.status).toBe(403)
  }
  expect(await started.stop()).toBe(0)

  const ledger = openLedger({ url: databaseUrl, name: 'test' })
  ends.push(() => ledger.close())
  const entries = await ledger.journal({ stream: 'policy' })
  expect(entries.map(({ type, actor, data }) => [type, actor, data.times])).toEqual(
    expect.arrayContaining([
      ['PoliciesLoaded', 'control', undefined],
      ['RequestDenied', 'oidc/ci-7', 1],
      ['RequestDenied', 'oidc/ci-7', 2],
    ]),
  )
  expect(entries).toHaveLength(3)
})

test.each<[string, () => Record<string, string>, RegExp]>([
  [
    'policies that are wrong',
    () => {
      writeFileSync(
        join(dir, 'policies', 'own.cedar'),
        '\npermit (principal, action == Action::"contian", resource);',
      )
      return {}
    },
    /own\.cedar:2: unrecognized action/,
  ],
  [
    'no policies',
    () => ({ CONTROL_POLICIES_DIR: join(dir, 'nowhere') }),
    /cannot read the policies in .*nowhere: ENOENT/,
  ],
  [
    'a key file that is not there',
    () => ({ CONTROL_OIDC_JWKS_FILE: join(dir, 'none') }),
    /CONTROL_OIDC_JWKS_FILE: .*none holds no key set/,
  ],
])('it does not start with %s, and says so', async (_what, given, why) => {
  const started = start(given())
  const end = await started.ready
  expect('said' in end && end.said).toMatch(why)
  expect(await started.stop()).not.toBe(0)
})
