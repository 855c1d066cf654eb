import { RekeyError } from '@rekey/contracts'
import type { Effect, EffectKind, EffectResult } from '@rekey/core'
import { describe, expect, test } from 'vitest'
import { Bench, type Leased, type Way, type World } from './act-bench.ts'
import {
  type Case,
  CONTRACT,
  promote,
  restore,
  STORES,
  type StoreName,
  stage,
  withdraw,
} from './act-contract.ts'

type Outside = Extract<Case, { undo: unknown }>

/** Runs the table's lines for these kinds, each check in worlds of its own. */
export function testActs(kinds: EffectKind[], makeWorld: () => Promise<World>): void {
  for (const kind of kinds) {
    const line = CONTRACT[kind]
    if (line.on === 'nothing') continue
    for (const store of line.on === 'store' ? STORES : [undefined])
      describe(store ? `${kind} on the ${store} store` : kind, () =>
        testAct(line, store ?? 'first', makeWorld),
      )
  }
}

function testAct(line: Outside, store: StoreName, makeWorld: () => Promise<World>): void {
  const effect = line.effect(store)
  const { undo } = line

  async function inWorld<T>(use: (bench: Bench) => Promise<T>): Promise<T> {
    const bench = new Bench(await makeWorld())
    try {
      await bench.run(line.before(store))
      return await use(bench)
    } finally {
      for (const way of bench.world.ways) way.faults.heal()
      await bench.world.close?.()
    }
  }

  /** The one clean run that all others are compared with, and how many requests it made on each way. */
  let cleanRun: Promise<{ end: unknown; requests: number[] }> | undefined
  const clean = () => {
    cleanRun ??= inWorld(async (bench) => {
      const { mine, ways } = bench.world
      const before = await bench.state()
      for (const way of ways) way.faults.heal()
      const result = await bench.attempt(bench.lease(effect), mine)
      const requests = ways.map((way) => way.count)
      const end = await endOf(bench, effect, result)
      if (effect.kind !== 'probe') expect(end.state, 'the act has no effect').not.toEqual(before)
      return { end, requests }
    })
    return cleanRun
  }

  async function expectClean(bench: Bench, result: EffectResult): Promise<void> {
    expect(await endOf(bench, effect, result)).toEqual((await clean()).end)
  }

  /**
   * Something happens at each request of the act, each time in a world of its own. Attempts go on until one comes
   * through; then all is well again.
   */
  async function atEachRequest(
    arm: (way: Way, nth: number, bench: Bench) => void,
    check: (bench: Bench, leased: Leased, settled: EffectResult) => Promise<void>,
  ): Promise<void> {
    const { requests } = await clean()
    const all = requests.flatMap((count, at) => Array.from({ length: count }, (_, n) => ({ at, nth: n + 1 })))
    expect(all, 'it makes no request').not.toEqual([])
    for (const { at, nth } of all) {
      await inWorld(async (bench) => {
        const way = bench.world.ways[at] as Way
        const leased = bench.lease(effect)
        arm(way, nth, bench)
        const settled = await bench.settle(leased, bench.world.mine)
        expect(way.count, 'the fault was not met').toBeGreaterThanOrEqual(nth)
        way.faults.heal()
        await check(bench, leased, settled)
      })
    }
  }

  test('has the effect of one when it is done twice, also by another worker', async () => {
    await inWorld(async (bench) => {
      const leased = bench.lease(effect)
      const { mine, other } = bench.world
      const first = await bench.attempt(leased, mine)
      for (const hands of [mine, other]) expect(await bench.attempt(leased, hands)).toEqual(first)
      await expectClean(bench, first)
    })
  })

  const LOST = [
    ['before its act, at each request', 'loseRequest'],
    ['after its act, at each answer', 'loseReply'],
  ] as const
  test.each(LOST)('ends the same when it failed %s, and is done again', async (_, fault) => {
    await atEachRequest(
      (way, nth) => way.faults[fault](nth),
      async (bench, leased, settled) => {
        const again = await bench.attempt(leased, bench.world.mine)
        // A probe that was cut off has shown nothing, and says so.
        if (effect.kind !== 'probe') expect(again).toEqual(settled)
        await expectClean(bench, again)
      },
    )
  })

  test('ends the same when two workers do it at once', async () => {
    await inWorld(async (bench) => {
      const leased = bench.lease(effect)
      const { mine, other } = bench.world
      const both = await Promise.allSettled([mine, other].map((hands) => bench.attempt(leased, hands)))
      for (const one of both) if (one.status === 'rejected') expectRetryable(one.reason)
      const result = await bench.settle(leased, mine)
      await expectClean(bench, result)
    })
  })

  test('ends the same when another worker does it whole, just before each request', async () => {
    await atEachRequest(
      (way, nth, bench) => {
        const leased = bench.lease(effect)
        way.faults.meanwhile(nth, () => bench.attempt(leased, bench.world.other).catch(expectRetryable))
      },
      (bench, _, settled) => expectClean(bench, settled),
    )
  })

  if ('never' in undo) return

  test('its undo, done twice, ends as its undo done once', async () => {
    const run = (times: number) =>
      inWorld(async (bench) => {
        const leased = bench.lease(effect)
        for (let n = 0; n < times; n++) await bench.attempt(leased, bench.world.mine)
        const undoing = bench.lease(undo.by(store))
        for (let n = 0; n < times; n++) await bench.attempt(undoing, bench.world.mine)
        return bench.state()
      })
    expect(await run(2)).toEqual(await run(1))
  })

  const { late } = undo
  if (typeof late === 'object') return

  test(`coming late, after its undo: ${late}`, async () => {
    await inWorld(async (bench) => {
      const leased = bench.lease(effect)
      const first = await bench.attempt(leased, bench.world.mine)
      await bench.run([undo.by(store)])
      const undone = await bench.state()
      const seen = await bench.late(leased, bench.world.other).catch((error: unknown) => error)
      if (late === 'changes nothing') expect(seen).toEqual(first)
      else expect(seen).toMatchObject({ code: late })
      expect(await bench.state()).toEqual(undone)
    })
  })
}

async function endOf(bench: Bench, effect: Effect, result: EffectResult) {
  return { state: await bench.state(), told: await bench.told(effect, result) }
}

function expectRetryable(error: unknown): void {
  if (!RekeyError.is(error)) throw error
  expect(error.retryable, `${error.code}: ${error.message}`).toBe(true)
}

/** A promotion replaces what the store shows by our last word, wherever that word came from. */
export function testExpectations(makeWorld: () => Promise<World>): void {
  test.each(STORES)('a promotion knows what it replaces: the %s store', async (at) => {
    const bench = new Bench(await makeWorld())
    const staged = (generation: number) => STORES.map((store) => stage(store, generation))
    const first = bench.lease(promote(at, 1))
    expect(first.shown).toEqual({})
    await bench.run([...staged(1), promote(at, 1)])
    await bench.run([...staged(2), promote(at, 2)])
    await bench.run([restore(at, 2), ...staged(3), promote(at, 3)])
    await bench.run([withdraw(at, 3), ...staged(4), promote(at, 4)])
    // Readers did not get it, so nothing was written, and the word before stands.
    await bench.run([withdraw(at, 2), ...staged(5), promote(at, 5)])
    const store = bench.world.other.stores.find(({ name }) => name === at)?.store
    const call = { key: 'look', signal: AbortSignal.timeout(10_000) }
    expect(await store?.readCurrent(call)).toMatchObject({ generation: 5 })
    await expect(bench.late(first, bench.world.mine)).rejects.toMatchObject({ code: 'foreign_writer' })
    await bench.world.close?.()
  })
}
