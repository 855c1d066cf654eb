import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Secret } from '@rekey/contracts'
import { proxyFaults, startFaultProxy, testStore } from '@rekey/testing'
import { inject } from 'vitest'
import { connectVault } from './client.ts'
import { vaultKvStore } from './kv-store.ts'

const { vaultAddr, identitiesDir } = inject('stack')
const asService = (service: string, addr: string) =>
  connectVault({
    addr,
    roleId: readFileSync(join(identitiesDir, service, 'vault-role-id'), 'utf8').trim(),
    secretIdFile: join(identitiesDir, service, 'vault-secret-id'),
    timeoutMs: 5_000,
  })

const sound = asService('rotator', vaultAddr)
const prober = asService('prober', vaultAddr)

testStore('vault-kv', async () => {
  const ref = { mount: 'secret', path: `kit/${randomUUID()}` }
  const proxy = await startFaultProxy(vaultAddr)
  const broken = asService('rotator', proxy.url)
  await broken.lookupSelf()
  return {
    store: vaultKvStore(broken, ref),
    another: vaultKvStore(sound, ref),
    elsewhere: vaultKvStore(prober, { mount: 'not-mounted', path: 'x' }),
    faults: proxyFaults(proxy, {
      status: 429,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ errors: ['request path "secret/data/x": rate limit quota exceeded'] }),
    }),
    async foreignPending(generation) {
      await sound.kvWrite(ref.mount, `rekey-staging/${ref.path}/${generation}`, { password: 'by hand' })
    },
    async foreignCurrent() {
      await sound.kvWrite(ref.mount, ref.path, { password: 'by hand' })
    },
    async liveByHand(value) {
      await sound.kvWrite(ref.mount, ref.path, { value: value.reveal() })
    },
    async liveValue() {
      const found = await sound.kvRead(ref.mount, ref.path)
      return typeof found?.data.value === 'string' ? Secret.of(found.data.value) : undefined
    },
    async close() {
      broken.close()
      await proxy.close()
    },
  }
})
