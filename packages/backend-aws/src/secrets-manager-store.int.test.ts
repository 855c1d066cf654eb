import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Secret } from '@rekey/contracts'
import { plantedSecret, proxyFaults, startFaultProxy, testStore } from '@rekey/testing'
import { afterAll, inject } from 'vitest'
import { connectSecretsManager } from './client.ts'
import { secretsManagerStore } from './secrets-manager-store.ts'

const { awsEndpoint, awsRegion, identitiesDir } = inject('stack')
const withFile = (credentialsFile: string, endpoint: string) =>
  connectSecretsManager({ region: awsRegion, endpoint, credentialsFile, timeoutMs: 5_000 })
const rotator = (endpoint: string) => withFile(join(identitiesDir, 'rotator', 'aws-credentials'), endpoint)

/** A key of the right shape that no user has. */
const folder = mkdtempSync(join(tmpdir(), 'rekey-stranger-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const strangersFile = join(folder, 'credentials')
writeFileSync(
  strangersFile,
  '[default]\naws_access_key_id = AKIAREKEYNOBODYNOBOD\naws_secret_access_key = nobody\n',
  { mode: 0o600 },
)

testStore('aws-secrets-manager', async () => {
  const secretId = `kit/${randomUUID()}`
  const proxy = await startFaultProxy(awsEndpoint)
  const broken = rotator(proxy.url)
  const sound = rotator(awsEndpoint)
  const stranger = withFile(strangersFile, awsEndpoint)
  const byHand = (label: string) => {
    const version = { token: randomUUID(), text: plantedSecret(), labels: [label] }
    return sound.put(secretId, version).then(() => undefined)
  }
  return {
    store: secretsManagerStore(broken, { secretId }),
    another: secretsManagerStore(sound, { secretId }),
    elsewhere: secretsManagerStore(stranger, { secretId: 'kit/x' }),
    faults: proxyFaults(proxy, {
      status: 400,
      headers: { 'content-type': 'application/x-amz-json-1.1' },
      body: JSON.stringify({ __type: 'ThrottlingException', message: 'Rate exceeded' }),
    }),
    foreignPending: () => byHand('AWSPENDING'),
    foreignCurrent: () => byHand('AWSCURRENT'),
    async liveByHand(value) {
      const text = Secret.of(JSON.stringify({ value: value.reveal() }))
      const labels = ['AWSCURRENT']
      if ((await sound.put(secretId, { token: randomUUID(), text, labels })) === 'absent')
        await sound.create(secretId, randomUUID(), text)
    },
    async liveValue() {
      const found = await sound.get(secretId, { label: 'AWSCURRENT' })
      return found && Secret.of(JSON.parse(found.text.reveal()).value)
    },
    async close() {
      for (const client of [broken, sound, stranger]) client.close()
      await proxy.close()
    },
  }
})
