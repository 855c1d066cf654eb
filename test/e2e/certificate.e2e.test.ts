import { randomBytes, X509Certificate } from 'node:crypto'
import { readFile, readlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { connect, createServer, type Server } from 'node:tls'
import { withToken } from '@rekey/backend-vault'
import { Secret } from '@rekey/contracts'
import { freePort } from '@rekey/local'
import { afterEach, expect, inject, test } from 'vitest'
import { startOneNode, startOwnRekey } from './own-rekey.ts'

const stack = inject('stack')
const MOUNT = 'pki-workloads'
const NAME = 'shop.internal.example'

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of closers.splice(0).reverse()) await end()
})

/** Software that shows what its folder holds, and looks there again and again. */
async function startSoftware(folder: string) {
  let server: Server | undefined
  let now = ''
  let going = true
  const port = await freePort()
  const load = async () => {
    const set = await readlink(join(folder, '..data')).catch(() => '')
    if (set === '' || set === now) return
    const [cert, key] = await Promise.all(
      ['tls.crt', 'tls.key'].map((name) => readFile(join(folder, set, name))),
    )
    now = set
    if (server) return server.setSecureContext({ cert, key })
    server = createServer({ cert, key }, (socket) => socket.on('error', () => {}).end())
    await new Promise<void>((done) => server?.listen(port, '127.0.0.1', done))
  }
  const loading = (async () => {
    while (going) {
      // The files may change again while it reads.
      await load().catch(() => {})
      await delay(100)
    }
  })()
  closers.push(async () => {
    going = false
    await loading
    server?.close()
  })
  return { port }
}

/** The serial number of what the software shows, to who trusts the authority and wants its name. */
function serialShown(port: number, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, servername: NAME, ca })
    socket.on('error', reject)
    socket.on('secureConnect', () => {
      resolve(socket.getPeerX509Certificate()?.serialNumber ?? '')
      socket.destroy()
    })
  })
}

async function startWorld() {
  const root = withToken({ addr: stack.vaultAddr, token: Secret.of(stack.vaultRootToken) })
  closers.push(async () => root.close())
  const role = `shop-${randomBytes(4).toString('hex')}`
  const roleUrl = `${stack.vaultAddr}/v1/${MOUNT}/roles/${role}`
  const headers = { 'X-Vault-Token': stack.vaultRootToken }
  const made = await fetch(roleUrl, {
    method: 'POST',
    headers,
    body: JSON.stringify({
      allowed_domains: NAME,
      allow_bare_domains: true,
      allowed_uri_sans: 'rekey://*',
      key_type: 'ec',
      key_bits: 256,
      max_ttl: '24h',
    }),
  })
  expect(made.ok).toBe(true)
  closers.push(() => fetch(roleUrl, { method: 'DELETE', headers }))
  const ca = await root.issuerCertificate(MOUNT, 'default')

  const rekey = await startOwnRekey(stack, { name: 'pki', redisDatabase: 13 })
  closers.push(() => rekey.close())
  const caFile = join(rekey.dir, 'ca.pem')
  await writeFile(caFile, ca)
  const folder = join(rekey.dir, 'tls')
  const software = await startSoftware(folder)
  const { credential } = await startOneNode(
    rekey,
    {
      purpose: 'tls',
      authority: {
        kind: 'vault-pki-certificate',
        mount: MOUNT,
        role,
        commonName: NAME,
        ttl: '12h',
      },
      maxAge: '8h',
    },
    {
      path: folder,
      format: 'tls',
      probe: 'shown',
      shown: { address: `127.0.0.1:${software.port}`, serverName: NAME, caFile },
    },
  )
  return {
    ...rekey,
    credential,
    serial: () => serialShown(software.port, ca),
    /** Of all that was ever issued to it: those that are neither revoked nor at their end. */
    async live() {
      const mine: string[] = []
      for (const serial of await root.certificateList(MOUNT)) {
        const issued = await root.certificateLookup(MOUNT, serial)
        if (issued && new X509Certificate(issued.pem).subjectAltName?.includes(`rekey://${credential}/`))
          mine.push(serial.replaceAll(':', '').toUpperCase())
      }
      return mine
    },
  }
}

/** Clients that connect again and again. Every answer is counted. */
function startClients({ serial }: Awaited<ReturnType<typeof startWorld>>) {
  const seen: Record<string, number> = {}
  let going = true
  const running = Array.from({ length: 4 }, async () => {
    while (going) {
      const answer = await serial().then(
        () => 'verified',
        (error: NodeJS.ErrnoException) => error.code ?? error.message,
      )
      seen[answer] = (seen[answer] ?? 0) + 1
      await delay(30)
    }
  })
  return {
    async stop() {
      going = false
      await Promise.all(running)
      return seen
    },
  }
}

test('a certificate is replaced under load, with a rotator killed, and the old one is on the CRL', async () => {
  const w = await startWorld()
  const clients = startClients(w)
  const shown = [await w.serial()]
  const turns = [
    (credential: string) => w.control.rotate(credential, 'the yearly audit'),
    (credential: string) => w.control.expedite(credential, 'seen in a paste'),
  ]
  for (const [turn, order] of turns.entries()) {
    const { rotation } = await order(w.credential)
    if (turn === 0) {
      await w.reaches(rotation, 'DrainingStarted')
      await w.platform.services.rotator?.kill()
    }
    expect(await w.ended(rotation)).toBe('closed')
    expect((await w.control.rotation(rotation)).exceptions).toEqual([])
    shown.push(await w.serial())
  }
  const { verified = 0, ...others } = await clients.stop()
  expect(others).toEqual({})
  expect(verified).toBeGreaterThan(100)
  expect(new Set(shown).size).toBe(3)
  expect(await w.live()).toEqual(shown.slice(-1))
})
