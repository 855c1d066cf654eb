import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Secret } from '@rekey/contracts'
import { safeErrorOf } from '@rekey/testing'
import { expect, inject, test, vi } from 'vitest'
import { anonymousVault, connectVault, withToken } from './client.ts'

const { vaultAddr, identitiesDir } = inject('stack')
const fleet = connectVault({
  addr: vaultAddr,
  roleId: readFileSync(join(identitiesDir, 'fleet', 'vault-role-id'), 'utf8').trim(),
  secretIdFile: join(identitiesDir, 'fleet', 'vault-secret-id'),
})

test('issues a server certificate that its own chain vouches for', async () => {
  const issued = await fleet.pkiIssue('rekey-server', { commonName: 'localhost', ipSans: ['127.0.0.1'] })
  const certificate = new X509Certificate(issued.certificate)
  const authority = new X509Certificate(await fleet.caChain())
  expect(certificate.verify(authority.publicKey)).toBe(true)
  expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1')
  expect(issued.privateKey.reveal()).toContain('PRIVATE KEY')
  expect(issued.expiresAt).toBeGreaterThan(Date.now())
  expect(JSON.stringify(issued)).not.toContain('PRIVATE KEY')
})

test('gives the authority to anybody', async () => {
  expect(await anonymousVault({ addr: vaultAddr }).caChain()).toBe(await fleet.caChain())
})

test('says what a role does not allow', async () => {
  const error = await safeErrorOf(fleet.pkiIssue('rekey-server', { commonName: 'example.org' }))
  expect(error.code).toBe('invalid_configuration')
  const csr = await safeErrorOf(fleet.pkiSign('rekey-node', 'not a request'), Secret.of('not a request'))
  expect(csr.code).toBe('invalid_configuration')
})

test('may not use a role that is not the fleet’s', async () => {
  expect((await safeErrorOf(fleet.pkiSign('another', 'x'))).code).toBe('permission_denied')
})

test('trusts a server by the given authority only, whatever the environment says', async () => {
  const issued = await fleet.pkiIssue('rekey-server', { commonName: 'localhost', ipSans: ['127.0.0.1'] })
  const server = createServer({ key: issued.privateKey.reveal(), cert: issued.certificate }, (_, reply) => {
    reply.end(JSON.stringify({ data: { data: { n: 1 }, metadata: { version: 1 } } }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const connection = { addr: `https://127.0.0.1:${port}`, token: Secret.of('t') }

  vi.stubEnv('VAULT_SKIP_VERIFY', '1')
  vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
  expect((await safeErrorOf(withToken(connection).kvRead('secret', 'x'))).code).toBe('backend_unavailable')
  vi.unstubAllEnvs()
  const trusting = withToken({ ...connection, ca: await fleet.caChain() })
  expect(await trusting.kvRead('secret', 'x')).toMatchObject({ version: 1, data: { n: 1 } })
  trusting.close()
  server.close()
})
