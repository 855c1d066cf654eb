import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connectSecretsManager, secretsManagerStore } from '@rekey/backend-aws'
import { connectVault, vaultKvStore } from '@rekey/backend-vault'
import { type Authority, RekeyError, Secret } from '@rekey/contracts'
import type { Effect } from '@rekey/core'
import { plantedSecret, safeErrorOf, startFaultProxy } from '@rekey/testing'
import { afterAll, describe, expect, inject, test } from 'vitest'
import { act, type Hands } from './act.ts'
import { nodesAuthority } from './nodes-authority.ts'

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
  return { vault, aws: connectSecretsManager({ region: awsRegion, endpoint, credentialsFile }) }
}

const proxies = { vault: await startFaultProxy(vaultAddr), aws: await startFaultProxy(awsEndpoint) }
const broken = connections(proxies.vault.url, proxies.aws.url)
const sound = connections(vaultAddr, awsEndpoint)
await broken.vault.lookupSelf()

afterAll(async () => {
  for (const { vault, aws } of [broken, sound]) {
    vault.close()
    aws.close()
  }
  await Promise.all(Object.values(proxies).map((proxy) => proxy.close()))
})

const STORES = ['vault', 'aws'] as const
type StoreName = (typeof STORES)[number]

const about = (kind: string, store: StoreName) => ({
  key: `key-g1.${kind}.${store}`,
  due: 0,
  of: 1,
  store,
  generation: 1,
})
const stage = (store: StoreName): Effect => ({ ...about('stage', store), kind: 'stage' })
const promote = (store: StoreName): Effect => ({
  ...about('promote', store),
  kind: 'promote',
  base: null,
  over: [],
})
const STEPS = [...STORES.map(stage), ...STORES.map(promote)] as const

/** A live secret in both stores, which gateways accept, and two workers who adopt it. */
async function given({ aws = true, other = false } = {}) {
  const path = `adopt/${randomUUID()}`
  const value = plantedSecret()
  const text = (secret: Secret) => Secret.of(JSON.stringify({ value: secret.reveal() }))
  const byHand = {
    vault: async (secret: Secret) => {
      await sound.vault.kvWrite('secret', path, { value: secret.reveal() })
    },
    aws: async (secret: Secret) => {
      const version = { token: randomUUID(), text: text(secret), labels: ['AWSCURRENT'] }
      if ((await sound.aws.put(path, version)) === 'absent')
        await sound.aws.create(path, randomUUID(), text(secret))
    },
  }
  await byHand.vault(value)
  if (aws) await byHand.aws(other ? plantedSecret() : value)
  const nodes = nodesAuthority({
    kind: 'nodes',
    endpoints: [{ name: 'gw', url: 'http://127.0.0.1:1/' }],
    refusals: [401],
  })
  const authority: Authority = {
    ...nodes,
    probe: async () => [{ endpoint: 'gw', verdict: 'accepted', seen: '200' }],
  }
  const shown: Record<string, string> = {}
  const hands = ({ vault, aws }: typeof sound): Hands => {
    const stores = [
      { name: 'vault', store: vaultKvStore(vault, { mount: 'secret', path }) },
      { name: 'aws', store: secretsManagerStore(aws, { secretId: path }) },
    ]
    const replaces = async (storeVersions: Record<string, string>) => void Object.assign(shown, storeVersions)
    return { stores, proberStores: stores, authority, replaces }
  }
  const run = (effect: Effect, over = broken) =>
    act(
      { effect, rotation: { id: 'key-g1', credential: 'key' }, shown: { ...shown }, keyIds: {}, adopts: 1 },
      hands(over),
      { key: effect.key, signal: AbortSignal.timeout(10_000) },
    )
  /** What readers without Rekey get. */
  const readers = async () => {
    const [inVault, inAws] = await Promise.all([
      sound.vault.kvRead('secret', path),
      sound.aws.get(path, { label: 'AWSCURRENT' }),
    ])
    const awsValue = inAws && JSON.parse(inAws.text.reveal()).value
    return { vault: inVault?.data.value, aws: awsValue }
  }
  const stores = hands(sound).stores
  const adopted = async () => {
    const call = { key: 'look', signal: AbortSignal.timeout(5_000) }
    for (const { store } of stores) {
      const current = await store.readCurrent(call)
      expect(current).toMatchObject({ generation: 1, keyId: 'key.g1' })
      expect(current?.value.equals(value)).toBe(true)
      const held = (await store.list(call)).filter(({ generation }) => generation === 1)
      expect(held.filter(({ labels }) => labels.includes('current'))).toHaveLength(1)
      expect(held.filter(({ labels }) => labels.includes('pending'))).toEqual([])
    }
    expect((await sound.vault.kvMetadata('secret', path))?.currentVersion).toBe(2)
    expect((await sound.vault.kvMetadata('secret', path))?.customMetadata).toEqual({
      rekey_generations: '2=1',
    })
  }
  const untouched = async () => {
    expect((await sound.vault.kvMetadata('secret', path))?.currentVersion).toBe(1)
    expect(await sound.vault.kvRead('secret', `rekey-staging/${path}/1`)).toBeUndefined()
    expect((await sound.aws.labels(path))?.size ?? 0).toBe(aws ? 1 : 0)
  }
  return { path, value, byHand, run, readers, adopted, untouched }
}

async function settle(run: () => Promise<unknown>): Promise<void> {
  for (let turn = 1; ; turn++)
    try {
      await run()
      return
    } catch (error) {
      if (turn === 6 || !RekeyError.is(error) || !error.retryable) throw error
    }
}

describe('the adoption of a live secret on Vault and Secrets Manager', () => {
  test('leaves readers what they have at each step, and the layout of Rekey at its end', async () => {
    const { value, run, readers, adopted } = await given()
    const both = { vault: value.reveal(), aws: value.reveal() }
    for (const step of STEPS) {
      await run(step)
      expect(await readers()).toEqual(both)
    }
    await adopted()
    for (const step of STEPS.slice(2)) await run(step)
    await adopted()
  })

  test.each(STEPS.map((step) => [step.kind, 'store' in step ? step.store : '', step] as const))(
    'ends the same when the requests of %s on %s are lost, or their answers, or another worker is between',
    async (_kind, _store, hit) => {
      for (const way of STORES)
        for (const fault of ['lose-request', 'lose-reply', 'meanwhile'] as const)
          for (let nth = 1; nth <= 6; nth++) {
            const { value, run, readers, adopted } = await given()
            let met = true
            for (const step of STEPS) {
              if (step === hit) {
                const other = () => run(step, sound).catch(() => undefined)
                proxies[way].arm(nth, fault === 'meanwhile' ? { kind: fault, act: other } : { kind: fault })
              }
              await settle(() => run(step))
              if (step === hit) met = proxies[way].count >= nth
              proxies[way].heal()
              expect(await readers()).toEqual({ vault: value.reveal(), aws: value.reveal() })
            }
            await adopted()
            if (!met) break
          }
    },
  )

  test('ends the same when two workers do each step at once', async () => {
    const { run, adopted } = await given()
    for (const step of STEPS) {
      const both = await Promise.allSettled([run(step), run(step, sound)])
      for (const one of both) if (one.status === 'rejected') expect(one.reason.retryable).toBe(true)
      await settle(() => run(step))
    }
    await adopted()
  })

  test.each([
    ['differ', { other: true }, /vault and aws hold different values/],
    ['do not both hold it', { aws: false }, /^aws has nothing/],
  ] as const)('changes nothing where the stores %s', async (_, how, why) => {
    const { value, run, untouched } = await given(how)
    const error = await safeErrorOf(run(stage('vault')), value)
    expect(error.code).toBe('not_adoptable')
    expect(error.message).toMatch(why)
    await untouched()
  })

  test.each(STORES)('stops where somebody writes to %s in the middle', async (name) => {
    const { value, byHand, run, readers } = await given()
    await run(stage('vault'))
    const later = plantedSecret()
    await byHand[name](later)
    expect((await safeErrorOf(run(stage('aws')), value, later)).code).toBe('foreign_writer')
    await byHand[name](value)
    await run(stage('aws'))
    await byHand[name](later)
    expect((await safeErrorOf(run(promote(name)), value, later)).code).toBe('foreign_writer')
    expect((await readers())[name]).toBe(later.reveal())
    await byHand[name](value)
    for (const store of STORES) await run(promote(store))
    expect(await readers()).toEqual({ vault: value.reveal(), aws: value.reveal() })
  })
})
