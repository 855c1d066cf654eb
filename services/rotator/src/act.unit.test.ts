import { existsSync, readFileSync } from 'node:fs'
import type { EffectKind } from '@rekey/core'
import { memoryAccount, memoryAuthority, memorySecret, memoryStore, memoryWay } from '@rekey/testing'
import { describe, expect, test } from 'vitest'
import { Bench, type World } from '../test/act-bench.ts'
import { testActs, testExpectations } from '../test/act-checks.ts'
import { CONTRACT } from '../test/act-contract.ts'

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
