import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer, type TlsOptions } from 'node:tls'
import { bundleText, Secret } from '@rekey/contracts'
import { certificateAuthority } from '@rekey/testing/certificates'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { mtlsTry } from '../mtls-try.ts'
import { FileConfig, fileAdapter } from './adapter.ts'

type Issued = { key: string; cert: string }
const NAME = 'shop.internal.example'

let authority: Awaited<ReturnType<typeof certificateAuthority>>
let dir: string
beforeEach(async () => {
  authority = await certificateAuthority()
  dir = await mkdtemp(join(tmpdir(), 'rekey-shown-'))
  await writeFile(join(dir, 'ca.pem'), authority.ca)
  return () => rm(dir, { recursive: true, force: true })
})

const issue = () => authority.issue([{ type: 'dns', value: NAME }])
const generation = (n: number, { key, cert }: Issued) => ({
  generation: n,
  keyId: `aa:0${n}`,
  value: bundleText({ certificate: cert, chain: [], key: Secret.of(key) }),
})

/** Software that shows a certificate, and takes up another one when it is told to. */
async function givenSoftware(first: Issued, options: TlsOptions = {}) {
  const server = createServer({ ...first, ...options }, (socket) => socket.on('error', () => {}).end())
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => void server.close())
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const shown = { address, serverName: NAME, caFile: join(dir, 'ca.pem') }
  const path = join(dir, 'tls')
  const adapter = fileAdapter({
    credential: 'shop',
    kind: 'file',
    path,
    format: 'tls',
    probe: 'shown',
    shown,
  })
  return { adapter, server, takeUp: (next: Issued) => server.setSecureContext(next), shown, path }
}

test('what was given is not refused while the software has not taken it up, and accepted when it shows it', async () => {
  const [old, next] = [await issue(), await issue()]
  const { adapter, takeUp } = await givenSoftware(old)
  expect(adapter.canTry).toBe(true)
  await adapter.apply([generation(1, old)])
  expect(await adapter.tryValue(generation(1, old).value)).toBe('accepted')
  await adapter.apply([generation(2, next)])
  expect(await adapter.tryValue(generation(2, next).value)).toBe('unknown')
  expect(await adapter.tryValue(generation(1, old).value)).toBe('accepted')
  takeUp(next)
  expect(await adapter.tryValue(generation(2, next).value)).toBe('accepted')
  expect(await adapter.tryValue(generation(1, old).value)).toBe('refused')
})

test('what the software takes up a moment later is waited for', async () => {
  const [old, next] = [await issue(), await issue()]
  const { adapter, takeUp } = await givenSoftware(old)
  await adapter.apply([generation(1, old)])
  await adapter.apply([generation(2, next)])
  const trying = adapter.tryValue(generation(2, next).value)
  setTimeout(() => takeUp(next), 250)
  expect(await trying).toBe('accepted')
})

test('what is shown is used, and what is not shown any more was used then', async () => {
  const [old, next] = [await issue(), await issue()]
  const { adapter, takeUp } = await givenSoftware(old)
  await adapter.apply([generation(1, old)])
  await adapter.apply([generation(2, next)])
  expect(await adapter.usage()).toEqual([{ generation: 1, inFlight: 0, lastUseAgeMs: 0, requests: 0 }])
  takeUp(next)
  const usage = await adapter.usage()
  expect(usage).toEqual([
    { generation: 1, inFlight: 0, lastUseAgeMs: expect.any(Number), requests: 0 },
    { generation: 2, inFlight: 0, lastUseAgeMs: 0, requests: 0 },
  ])
  expect(usage?.[0]?.lastUseAgeMs).toBeGreaterThan(0)
  expect(await adapter.countingAgeMs?.()).toBeGreaterThan(0)
})

test('nothing is said of a certificate that was not given, of another authority, of another name, or of nobody', async () => {
  const [old, next] = [await issue(), await issue()]
  const { adapter, takeUp, server } = await givenSoftware(old)
  await adapter.apply([generation(2, next)])
  expect(await adapter.usage()).toBeUndefined()
  const elsewhere = await (await certificateAuthority()).issue([{ type: 'dns', value: NAME }])
  const named = await authority.issue([{ type: 'dns', value: 'other.internal.example' }])
  for (const wrong of [elsewhere, named]) {
    await adapter.apply([generation(3, wrong)])
    takeUp(wrong)
    expect(await adapter.tryValue(generation(3, wrong).value)).toBe('unknown')
    await expect(adapter.usage()).rejects.toThrow()
  }
  server.close()
  expect(await adapter.tryValue(generation(2, next).value)).toBe('unknown')
})

test('the fields of a try belong to it alone', () => {
  const config = { credential: 'shop', kind: 'file', path: '/run/tls', format: 'tls' } as const
  const shown = { address: '[::1]:8443', serverName: NAME }
  const mtls = { url: 'https://backend.internal.example/health' }
  expect(FileConfig.safeParse({ ...config, probe: 'shown', shown }).success).toBe(true)
  expect(FileConfig.safeParse({ ...config, probe: 'mtls', mtls }).success).toBe(true)
  for (const [wrong, path] of [
    [{ probe: 'shown' }, 'shown'],
    [{ shown }, 'shown'],
    [{ probe: 'mtls' }, 'mtls'],
    [{ mtls }, 'mtls'],
  ] as const)
    expect(FileConfig.safeParse({ ...config, ...wrong }).error?.issues).toMatchObject([{ path: [path] }])
  for (const address of ['127.0.0.1', 'host:', 'http://host:1', 'a b:1', '::1:8443'])
    expect(FileConfig.safeParse({ ...config, probe: 'shown', shown: { ...shown, address } }).success).toBe(
      false,
    )
  expect(FileConfig.safeParse({ ...config, probe: 'mtls', mtls: { url: 'http://x/' } }).success).toBe(false)
})

test('a server that lets in whoever comes proves nothing of a certificate', async () => {
  const [own, client] = [await authority.issue([{ type: 'dns', value: 'localhost' }]), await issue()]
  const ask = async (options: TlsOptions, status: (authorized: boolean) => number) => {
    const server = createHttpsServer({ ...own, ca: authority.ca, ...options }, (request, reply) => {
      const { authorized } = request.socket as unknown as { authorized: boolean }
      reply.writeHead(status(authorized)).end()
    })
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    onTestFinished(() => void server.close())
    const url = `https://localhost:${(server.address() as AddressInfo).port}/`
    return mtlsTry({ url, caFile: join(dir, 'ca.pem') }, generation(1, client).value)
  }
  expect(await ask({}, () => 200)).toBe('unknown')
  expect(await ask({ requestCert: true, rejectUnauthorized: true }, () => 200)).toBe('accepted')
  const optional = { requestCert: true, rejectUnauthorized: false }
  expect(await ask(optional, (authorized) => (authorized ? 200 : 403))).toBe('accepted')
  expect(await ask(optional, () => 403)).toBe('refused')
  expect(await ask(optional, () => 500)).toBe('unknown')
})
