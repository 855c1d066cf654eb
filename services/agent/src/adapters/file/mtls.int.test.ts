import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { withToken } from '@rekey/backend-vault'
import { bundleText, Secret } from '@rekey/contracts'
import { ensureHaproxy, freePort } from '@rekey/local'
import { expect, inject, onTestFinished, test } from 'vitest'
import { fileAdapter } from './adapter.ts'

const { vaultAddr, vaultRootToken } = inject('stack')

async function tell(path: string, body: unknown, method = 'POST'): Promise<void> {
  const reply = await fetch(`${vaultAddr}/v1/${path}`, {
    method,
    headers: { 'X-Vault-Token': vaultRootToken },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status}`)
}

/** HAProxy before nothing, which lets in who has a certificate of the mount that is not on its CRL. */
async function givenServer() {
  const mount = `pki-${randomUUID()}`
  const dir = await mkdtemp(join(tmpdir(), 'rekey-mtls-'))
  const root = withToken({ addr: vaultAddr, token: Secret.of(vaultRootToken) })
  await tell(`sys/mounts/${mount}`, { type: 'pki' })
  await tell(`${mount}/root/generate/internal`, { common_name: 'mTLS', key_type: 'ec' })
  await tell(`${mount}/roles/any`, {
    allow_any_name: true,
    enforce_hostnames: false,
    key_type: 'ec',
    key_bits: 256,
  })
  const issue = async (commonName: string) => {
    const params = { commonName, ttlSeconds: 600 }
    const made = await root.pkiIssue('any', { ...params, ipSans: ['127.0.0.1'] }, { mount })
    const value = bundleText({ certificate: made.certificate, chain: [], key: made.privateKey })
    return { serial: made.serial, value }
  }
  const file = (name: string) => join(dir, name)
  const port = await freePort()
  await writeFile(file('ca.pem'), await root.issuerCertificate(mount, 'default'))
  await writeFile(file('server.pem'), (await issue('localhost')).value.reveal())
  await writeFile(
    file('haproxy.cfg'),
    `defaults
  mode http
  timeout connect 2s
  timeout client 5s
  timeout server 5s
frontend fe
  bind 127.0.0.1:${port} ssl crt ${file('server.pem')} ca-file ${file('ca.pem')} crl-file ${file('crl.pem')} verify required
  http-request return status 200 if { path /yes }
  http-request return status 403
`,
  )
  const binary = await ensureHaproxy()
  let child: ChildProcess | undefined
  const stop = async () => {
    const old = child
    child = undefined
    if (!old || old.exitCode !== null) return
    const ended = once(old, 'exit')
    old.kill('SIGKILL')
    await ended
  }
  onTestFinished(async () => {
    await stop()
    root.close()
    await tell(`sys/mounts/${mount}`, undefined, 'DELETE')
    await rm(dir, { recursive: true, force: true })
  })
  return {
    url: `https://127.0.0.1:${port}/yes`,
    caFile: file('ca.pem'),
    dir,
    issue,
    revoke: (serial: string) => root.certificateRevoke(mount, serial),
    stop,
    /** With the CRL of now, as a server that fetches it. */
    async start() {
      await stop()
      await writeFile(file('crl.pem'), await root.issuerCrl(mount, 'default'))
      child = spawn(binary, ['-f', file('haproxy.cfg'), '-db'], { stdio: 'ignore' })
      for (let tries = 0; !(await accepts(port)); tries++) {
        if (tries > 200 || child.exitCode !== null) throw new Error('HAProxy does not come up')
        await delay(20)
      }
    },
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

test('a certificate is tried at a server that checks the CRL: accepted, and refused once it was revoked', async () => {
  const { url, caFile, dir, issue, revoke, start, stop } = await givenServer()
  const adapterFor = (mtls: { url: string; caFile?: string }) =>
    fileAdapter({
      credential: 'shop',
      kind: 'file',
      path: join(dir, 'tls'),
      format: 'tls',
      probe: 'mtls',
      mtls,
    })
  const adapter = adapterFor({ url, caFile })
  const [old, next] = [await issue('old'), await issue('next')]
  await start()
  for (const { value } of [old, next]) expect(await adapter.tryValue(value)).toBe('accepted')

  await revoke(old.serial)
  // The server still has the CRL from before: it takes it, and that is what is said.
  expect(await adapter.tryValue(old.value)).toBe('accepted')
  await start()
  expect(await adapter.tryValue(old.value)).toBe('refused')
  expect(await adapter.tryValue(next.value)).toBe('accepted')

  // One of somebody else's authority.
  const stranger = await givenServer()
  expect(await adapter.tryValue((await stranger.issue('next')).value)).toBe('refused')
  // Let in, and told no by what is behind.
  expect(await adapterFor({ url: url.replace('/yes', '/no'), caFile }).tryValue(next.value)).toBe('refused')
  // A server that the node does not know is not told anything.
  expect(await adapterFor({ url }).tryValue(next.value)).toBe('unknown')
  expect(await adapter.tryValue(Secret.of('no certificate'))).toBe('unknown')
  await stop()
  expect(await adapter.tryValue(next.value)).toBe('unknown')
})
