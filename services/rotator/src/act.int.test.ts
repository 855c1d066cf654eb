import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connectSecretsManager, secretsManagerStore } from '@rekey/backend-aws'
import { connectVault, vaultKvStore } from '@rekey/backend-vault'
import type { EffectKind } from '@rekey/core'
import { memoryAccount, memoryAuthority, startFaultProxy } from '@rekey/testing'
import { afterAll, describe, inject } from 'vitest'
import type { World } from '../test/act-bench.ts'
import { testActs, testExpectations } from '../test/act-checks.ts'
import { CONTRACT } from '../test/act-contract.ts'
import type { Hands } from './act.ts'

const { vaultAddr, awsEndpoint, awsRegion, identitiesDir } = inject('stack')

/** A rotator's connections, over these addresses. */
function connections(addr: string, endpoint: string) {
  const mine = join(identitiesDir, 'rotator')
  const vault = connectVault({
    addr,
    roleId: readFileSync(join(mine, 'vault-role-id'), 'utf8').trim(),
    secretIdFile: join(mine, 'vault-secret-id'),
  })
  const credentialsFile = join(mine, 'aws-credentials')
  const aws = connectSecretsManager({ region: awsRegion, endpoint, credentialsFile })
  return { vault, aws }
}

const vaultProxy = await startFaultProxy(vaultAddr)
const awsProxy = await startFaultProxy(awsEndpoint)
const broken = connections(vaultProxy.url, awsProxy.url)
const sound = connections(vaultAddr, awsEndpoint)
await broken.vault.lookupSelf()

afterAll(async () => {
  for (const { vault, aws } of [broken, sound]) {
    vault.close()
    aws.close()
  }
  await Promise.all([vaultProxy.close(), awsProxy.close()])
})

/** A secret of its own in both stores. What authorities must stand, their own kit says. */
async function onServers(): Promise<World> {
  const path = `act/${randomUUID()}`
  const authority = memoryAuthority(memoryAccount())
  const hands = ({ vault, aws }: typeof sound): Hands => {
    const stores = [
      { name: 'first', store: vaultKvStore(vault, { mount: 'secret', path }) },
      { name: 'second', store: secretsManagerStore(aws, { secretId: path }) },
    ]
    return { stores, proberStores: stores, authority }
  }
  const way = (proxy: typeof vaultProxy) => ({
    faults: {
      loseReply: (nth: number) => proxy.arm(nth, { kind: 'lose-reply' }),
      loseRequest: (nth: number) => proxy.arm(nth, { kind: 'lose-request' }),
      meanwhile: (nth: number, act: () => Promise<unknown>) => proxy.arm(nth, { kind: 'meanwhile', act }),
      heal: () => proxy.heal(),
    },
    get count() {
      return proxy.count
    },
  })
  return { mine: hands(broken), other: hands(sound), ways: [way(vaultProxy), way(awsProxy)] }
}

const onStores = (Object.keys(CONTRACT) as EffectKind[]).filter((kind) => CONTRACT[kind].on === 'store')

describe('every step on Vault and Secrets Manager', () => {
  testActs(onStores, onServers)
  testExpectations(onServers)
})
