import { existsSync, readFileSync } from 'node:fs'
import { RekeyError } from '@rekey/contracts'
import type { Effect, EffectKind } from '@rekey/core'
import {
  memoryAccount,
  memoryAuthority,
  memoryProvider,
  memorySecret,
  memoryStore,
  memoryWay,
} from '@rekey/testing'
import { describe, expect, test } from 'vitest'
import { Bench, type World } from '../test/act-bench.ts'
import { testActs, testExpectations } from '../test/act-checks.ts'
import { CONTRACT } from '../test/act-contract.ts'
import { act } from './act.ts'

/** One way to everything, so that each request of an act can be hit, whatever it is to. */
async function inMemory(): Promise<World> {
  const way = memoryWay()
  const account = memoryAccount()
  const secrets = [memorySecret(), memorySecret()]
  const hands = (over: typeof way) => {
    const stores = secrets.map((secret, n) => ({
      name: n === 0 ? 'first' : 'second',
      store: memoryStore(secret, over),
    }))
    return { stores, proberStores: stores, authority: memoryAuthority(account, over) }
  }
  return {
    mine: hands(way),
    other: hands(memoryWay()),
    ways: [way],
    inside: () => ({
      held: account.held.map(({ generation, suspended }) => ({ generation, suspended })),
      revoked: [...account.revoked],
      versions: secrets.map(({ versions }) => versions.length),
    }),
  }
}

const kinds = Object.keys(CONTRACT) as EffectKind[]

describe('every step in memory', () => {
  testActs(kinds, inMemory)
  testExpectations(inMemory)
})

describe('what a provider makes', () => {
  /** One store, and an authority that knows nothing of what was not told. */
  function provided() {
    const account = memoryAccount()
    const keyIds: Record<number, string> = {}
    /** What `keep` was told, and what it answers first. */
    const kept: string[] = []
    const keeping: RekeyError[] = []
    const secret = memorySecret()
    let noted: string[] | undefined
    const way = memoryWay()
    const hands = {
      stores: [{ name: 'first', store: memoryStore(secret, way) }],
      proberStores: [],
      authority: {
        ...memoryProvider(account, memoryWay(), { keyIdOf: (generation) => keyIds[generation] }),
        keep: async (keyId: string) => {
          const fault = keeping.shift()
          if (fault) throw fault
          kept.push(keyId)
        },
      },
      note: async (found: () => Promise<string[]>) => {
        noted ??= await found()
        return noted
      },
    }
    const doIt = (effect: Effect) =>
      act({ effect, rotation: { id: 'key-g1', credential: 'key' }, shown: {}, keyIds }, hands, {
        key: effect.key,
        signal: AbortSignal.timeout(5_000),
      })
    return { account, faults: way.faults, doIt, kept, keeping }
  }
  const about = { due: 0, of: 1, store: 'first', generation: 1 }
  const staging: Effect = { ...about, key: 'key-g1.stage.first-g1', kind: 'stage' }
  const promoting: Effect = { ...about, key: 'key-g1.promote.first', kind: 'promote', base: null, over: [] }
  const destroying: Effect = { ...about, key: 'key-g1.destroy.first-g1', kind: 'destroy' }

  test('is told under the name that it has there', async () => {
    const { account, doIt } = provided()
    expect(await doIt(staging)).toMatchObject({ keyId: account.held[0]?.minted?.keyId })
    expect(account.held).toHaveLength(1)
  })

  test('is kept once a store has it, and again where the attempt before came no further than the store', async () => {
    const { account, doIt, kept, keeping } = provided()
    keeping.push(new RekeyError('backend_unavailable', 'the renewal was lost'))
    await expect(doIt(staging)).rejects.toMatchObject({ retryable: true })
    await doIt(staging)
    expect(account.held).toHaveLength(1)
    expect(kept).toEqual([account.held[0]?.minted?.keyId])
  })

  test('is not kept where no store has it', async () => {
    const { doIt, kept } = provided()
    await doIt(destroying)
    await expect(doIt(staging)).rejects.toMatchObject({ code: 'value_lost' })
    expect(kept).toEqual([])
  })

  test('ends when it is destroyed, though nobody was told its name, and nobody installed it', async () => {
    const { account, doIt } = provided()
    await doIt(staging)
    for (const _twice of [1, 2]) await doIt(destroying)
    expect(account.held).toEqual([])
  })

  test('lives on while readers get it, whatever asks for its end', async () => {
    const { account, doIt } = provided()
    await doIt(staging)
    await doIt(promoting)
    await expect(doIt(destroying)).rejects.toMatchObject({ code: 'not_allowed_now' })
    expect(account.held).toHaveLength(1)
  })

  test('ends at once where the generation was destroyed before it could be kept', async () => {
    const { account, doIt } = provided()
    await doIt(destroying)
    await expect(doIt(staging)).rejects.toMatchObject({ code: 'value_lost' })
    expect(account.held).toEqual([])
  })

  test('is made once, where the answer of the store was lost', async () => {
    const { account, faults, doIt } = provided()
    faults.loseReply(2)
    await expect(doIt(staging)).rejects.toMatchObject({ retryable: true })
    faults.heal()
    expect(await doIt(staging)).toMatchObject({ keyId: account.held[0]?.minted?.keyId })
    expect(account.held).toHaveLength(1)
  })
})

describe('a provider that shows readers a value itself', () => {
  test('is told after each store has moved, and after each was put back', async () => {
    const secrets = [memorySecret(), memorySecret()]
    const stores = secrets.map((secret, n) => ({ name: `s${n}`, store: memoryStore(secret, memoryWay()) }))
    const shown: { generation: number; stores: (number | undefined)[] }[] = []
    const call = () => ({ key: crypto.randomUUID(), signal: AbortSignal.timeout(5_000) })
    const show = async (generation: number) => {
      const now = await Promise.all(stores.map(({ store }) => store.readCurrent(call())))
      shown.push({ generation, stores: now.map((value) => value?.generation) })
    }
    const hands = { stores, proberStores: [], authority: { ...memoryAuthority(), show } }
    const asked = { rotation: { id: 'key-g1', credential: 'key' }, shown: {}, keyIds: {} }
    const doIt = (effect: Effect) => act({ ...asked, effect }, hands, call())
    const about = (store: string) => ({ key: store, due: 0, of: 1, store, generation: 1 })
    for (const { name } of stores) await doIt({ ...about(name), kind: 'stage' })
    for (const { name } of stores) await doIt({ ...about(name), kind: 'promote', base: null, over: [] })
    await doIt({ ...about('s0'), kind: 'restore', base: 1 })
    expect(shown).toEqual([
      { generation: 1, stores: [1, undefined] },
      { generation: 1, stores: [1, 1] },
      { generation: 1, stores: [1, 1] },
    ])
  })
})

describe('the table', () => {
  test('has a line for each kind of effect, and no other', () => {
    const source = readFileSync(new URL('rotation/effects.ts', import.meta.resolve('@rekey/core')), 'utf8')
    const union = source.slice(source.indexOf('export type Effect ='), source.indexOf('export type Timer ='))
    const declared = [...union.matchAll(/\bkind: '(\w+)'/g)].map(([, kind]) => kind)
    expect(declared.length).toBeGreaterThan(0)
    expect(kinds.toSorted()).toEqual(declared.toSorted())
  })

  test.each(kinds.filter((kind) => CONTRACT[kind].on !== 'nothing'))('%s: asks for itself', (kind) => {
    const line = CONTRACT[kind]
    if (line.on !== 'nothing') expect(line.effect('first').kind).toBe(kind)
  })

  test.each(kinds.filter((kind) => CONTRACT[kind].on === 'nothing'))(
    '%s: is nothing for a rotator, and is tested where the table says',
    async (kind) => {
      const line = CONTRACT[kind]
      if (line.on !== 'nothing') return
      expect(existsSync(new URL(`../../../${line.testedIn}`, import.meta.url)), line.testedIn).toBe(true)
      const world = await inMemory()
      const effect = { key: 'k', due: 0, of: null, kind, revision: 1, nodes: [], timer: { name: 'settled' } }
      const bench = new Bench(world)
      const leased = bench.lease(effect as Parameters<typeof bench.lease>[0])
      await expect(bench.attempt(leased, world.mine)).rejects.toThrow('rotator-0001')
      expect(world.ways[0]?.count).toBe(0)
    },
  )
})
