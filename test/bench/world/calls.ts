import { connectIam, connectSecretsManager, iamAccessKey, secretsManagerStore } from '@rekey/backend-aws'
import { vaultKvStore } from '@rekey/backend-vault'
import { type Authority, type Call, Secret, type Store, type StoredValue } from '@rekey/contracts'
import { makeIamUser } from '@rekey/local'
import { type FaultProxy, startFaultProxy } from '@rekey/testing'
import { type AwsPlace, vaultOf } from './aws-place.ts'

/** Requests of one routine rotation: until readers have the new value, and to end the old one. */
type Calls = { backend: string; up: number; down: number }

const REPLICA = 'eu-west-1'

export const callOf = (key: string): Call => ({ key, signal: AbortSignal.timeout(30_000) })
export const newValue = (generation: number) => ({
  generation,
  keyId: `key-${generation}`,
  value: Secret.of(`rk_${crypto.randomUUID()}`),
})

/** Counted on the way to the real servers. */
export async function countCalls(place: AwsPlace): Promise<Calls[]> {
  const { aws, vault } = place.stack
  const [awsWay, vaultWay] = await Promise.all([startFaultProxy(aws.endpoint), startFaultProxy(vault.addr)])
  const { credentialsFile } = place.rotator
  const secrets = (region: string) => connectSecretsManager({ region, endpoint: awsWay.url, credentialsFile })
  const [here, there, kv] = [secrets(aws.region), secrets(REPLICA), vaultOf(place, vaultWay.url)]
  const named = (of: string) => `calls/${of}-${crypto.randomUUID()}`
  try {
    const counted = [
      await ofStore('aws-secrets-manager', awsWay, secretsManagerStore(here, { secretId: named('plain') })),
      await ofStore(
        'aws-secrets-manager, one replica',
        awsWay,
        secretsManagerStore(here, {
          secretId: named('replica'),
          replicas: [{ region: REPLICA, client: there }],
        }),
      ),
      await ofStore('vault-kv', vaultWay, vaultKvStore(kv, { mount: 'secret', path: named('kv') })),
    ]
    return [...counted, await ofAccessKey(awsWay, place)]
  } finally {
    for (const client of [here, there, kv]) client.close()
    await Promise.all([awsWay.close(), vaultWay.close()])
  }
}

/** The third rotation: it finds what a rotation left, and no first value to make room for. */
async function ofStore(backend: string, way: FaultProxy, store: Store): Promise<Calls> {
  let current: string | undefined
  let calls = { up: 0, down: 0 }
  for (const generation of [1, 2, 3]) {
    way.heal()
    await store.stage(newValue(generation), callOf(`r${generation}.stage.s`))
    current = await store.promote(generation, current, callOf(`r${generation}.promote.s`))
    const up = way.count
    way.heal()
    if (generation > 1) await store.destroy(generation - 1, callOf(`r${generation}.destroy.s`))
    calls = { up, down: way.count }
  }
  return { backend, ...calls }
}

/** With one look at the last use; a drain of hours asks more often. */
async function ofAccessKey(way: FaultProxy, place: AwsPlace): Promise<Calls> {
  const { aws } = place.stack
  const user = await makeIamUser(aws, `calls-${crypto.randomUUID()}`, { actions: ['sts:*'], resource: '*' })
  const iam = connectIam({
    region: aws.region,
    endpoint: way.url,
    credentialsFile: place.rotator.credentialsFile,
  })
  const keys = new Map<number, { id: string; value: Secret }>()
  const authority = iamAccessKey(iam, {
    user: user.user,
    keyIdOf: (generation) => keys.get(generation)?.id,
  })
  const up = async (generation: number) => {
    const next = await nextValue(authority, generation, callOf(`r${generation}.mint`))
    keys.set(generation, { id: next.keyId, value: next.value })
    await authority.install?.(next, callOf(`r${generation}.install`))
  }
  try {
    await up(1)
    way.heal()
    await up(2)
    const counted = way.count
    way.heal()
    await authority.lastUsed?.(1, callOf('look'))
    await authority.suspend?.(1, callOf('r2.suspend'))
    await authority.revoke?.(1, callOf('r2.revoke'))
    for (const generation of [1, 2])
      await authority.probe(keys.get(generation)?.value ?? Secret.of(''), callOf('r2.probe'))
    return { backend: 'aws-iam-access-key', up: counted, down: way.count }
  } finally {
    iam.close()
    await user.drop()
  }
}

/** As the stage act makes it. */
export async function nextValue(authority: Authority, generation: number, call: Call): Promise<StoredValue> {
  if (authority.make)
    return { generation, keyId: `bench.g${generation}`, value: await authority.make(generation, call) }
  const known = (await authority.list?.(call)) ?? []
  const minted = await authority.mint?.(known, call, generation)
  if (!minted) throw new Error(`bench-0002: ${authority.kind} makes no values`)
  return { generation, ...minted }
}
