import { type Authority, RekeyError, Secret } from '@rekey/contracts'
import type { Effect } from '@rekey/core'
import { memorySecret, memoryStore, memoryWay, writeByHand } from '@rekey/testing'
import { describe, expect, test } from 'vitest'
import { act, type Hands } from './act.ts'
import { nodesAuthority } from './nodes-authority.ts'

const LIVE = Secret.of('sk-live-8Jd0aKq2LmZx7VbN4tRw')
const OTHER = Secret.of('sk-other-8Jd0aKq2LmZx7VbN4tR')

const stage = (store: string): Effect => ({
  key: `key-g1.stage.${store}`,
  due: 0,
  of: 1,
  kind: 'stage',
  store,
  generation: 1,
})
const promote = (store: string): Effect => ({
  key: `key-g1.promote.${store}`,
  due: 0,
  of: 1,
  kind: 'promote',
  store,
  generation: 1,
  base: null,
  over: [],
})

/** Two stores, and gateways that accept what they accept. */
function world({ verdict = 'accepted' as 'accepted' | 'refused' | 'unknown' } = {}) {
  const secrets = { vault: memorySecret(), aws: memorySecret() }
  const ways = { vault: memoryWay(), aws: memoryWay() }
  const shown: Record<string, string> = {}
  const stores = (['vault', 'aws'] as const).map((name) => ({
    name,
    store: memoryStore(secrets[name], ways[name]),
  }))
  const nodes = nodesAuthority({
    kind: 'nodes',
    endpoints: [{ name: 'gw', url: 'http://127.0.0.1:1/' }],
    refusals: [401],
  })
  const authority: Authority = {
    ...nodes,
    probe: async () => [{ endpoint: 'gw', verdict, seen: verdict === 'accepted' ? '200' : '401' }],
  }
  const hands: Hands = {
    stores,
    proberStores: stores,
    authority,
    replaces: async (storeVersions) => void Object.assign(shown, storeVersions),
  }
  const run = (effect: Effect) =>
    act(
      {
        effect,
        rotation: { id: 'key-g1', credential: 'key' },
        shown: { ...shown },
        keyIds: {},
        adopts: 1,
      },
      hands,
      { key: effect.key, signal: AbortSignal.timeout(5_000) },
    )
  return { secrets, ways, stores, run, shown, hands }
}

async function refusal(doing: Promise<unknown>): Promise<RekeyError> {
  const error = await doing.then(
    () => undefined,
    (thrown) => thrown,
  )
  if (!RekeyError.is(error)) throw new Error('it was not refused', { cause: error })
  expect(`${error.message} ${JSON.stringify(error)}`).not.toContain('sk-')
  return error
}

const untouched = ({ secrets }: ReturnType<typeof world>) =>
  Object.values(secrets).every(({ staged, versions }) => staged.size === 0 && versions.length <= 1)

describe('an adoption', () => {
  test('takes what readers get as generation 1, and readers go on getting it', async () => {
    const w = world()
    writeByHand(w.secrets.vault, LIVE)
    writeByHand(w.secrets.aws, LIVE)
    expect(await w.run(stage('vault'))).toMatchObject({ kind: 'stage', keyId: 'key.g1' })
    await w.run(stage('aws'))
    expect(w.secrets.vault.versions).toHaveLength(1)
    for (const name of ['vault', 'aws'] as const) await w.run(promote(name))
    for (const { store } of w.stores) {
      const current = await store.readCurrent({ key: 'look', signal: AbortSignal.timeout(1_000) })
      expect(current).toMatchObject({ generation: 1, keyId: 'key.g1' })
      expect(current?.value.equals(LIVE)).toBe(true)
    }
  })

  test.each<[string, (w: ReturnType<typeof world>) => void, RegExp]>([
    ['no store holds a value', () => undefined, /vault and aws have nothing/],
    ['one lacks it', ({ secrets }) => writeByHand(secrets.vault, LIVE), /^aws has nothing/],
    [
      'they differ',
      ({ secrets }) => {
        writeByHand(secrets.vault, LIVE)
        writeByHand(secrets.aws, OTHER)
      },
      /vault and aws hold different values/,
    ],
    [
      'it can be guessed',
      ({ secrets }) => {
        for (const secret of Object.values(secrets)) writeByHand(secret, Secret.of('hunter2'))
      },
      /less than 128 bits/,
    ],
    [
      'it ends in a line break',
      ({ secrets }) => {
        for (const secret of Object.values(secrets)) writeByHand(secret, Secret.of(`${LIVE.reveal()}\n`))
      },
      /line break at its end/,
    ],
  ])('is refused, and writes nothing, where %s', async (_, given, why) => {
    const w = world()
    given(w)
    const error = await refusal(w.run(stage('vault')))
    expect(error.code).toBe('not_adoptable')
    expect(error.message).toMatch(why)
    expect(untouched(w)).toBe(true)
    expect(w.shown).toEqual({})
  })

  test.each([
    ['refused', 'not_adoptable', /refused at gw/],
    ['unknown', 'backend_unavailable', /not known/],
  ] as const)('is not begun with a value that is %s at the endpoints', async (verdict, code, why) => {
    const w = world({ verdict })
    writeByHand(w.secrets.vault, LIVE)
    writeByHand(w.secrets.aws, LIVE)
    const error = await refusal(w.run(stage('vault')))
    expect(error.code).toBe(code)
    expect(error.message).toMatch(why)
    expect(untouched(w)).toBe(true)
  })

  test('stops where somebody writes in the middle, and goes on where it is the same value again', async () => {
    const w = world()
    writeByHand(w.secrets.vault, LIVE)
    writeByHand(w.secrets.aws, LIVE)
    await w.run(stage('vault'))
    for (const secret of Object.values(w.secrets)) writeByHand(secret, OTHER)
    expect(await refusal(w.run(stage('aws')))).toMatchObject({ code: 'foreign_writer' })
    for (const secret of Object.values(w.secrets)) writeByHand(secret, LIVE)
    await w.run(stage('aws'))
    writeByHand(w.secrets.vault, OTHER)
    expect(await refusal(w.run(promote('vault')))).toMatchObject({ code: 'foreign_writer' })
    expect(w.secrets.vault.versions.at(-1)?.live?.equals(OTHER)).toBe(true)
    writeByHand(w.secrets.vault, LIVE)
    await w.run(promote('vault'))
    await w.run(promote('aws'))
  })

  test('of a kind that cannot is refused', async () => {
    const w = world()
    writeByHand(w.secrets.vault, LIVE)
    writeByHand(w.secrets.aws, LIVE)
    const { adopt: _, ...cannot } = w.hands.authority
    w.hands.authority = cannot
    expect(await refusal(w.run(stage('vault')))).toMatchObject({ code: 'not_adoptable' })
  })

  test('makes a value for a generation that is not adopted', async () => {
    const w = world()
    const effect = { ...stage('vault'), generation: 2 } as Effect
    await w.run(effect)
    expect(w.secrets.vault.staged.get(2)).toMatchObject({ keyId: 'key.g2' })
  })
})

describe('an adoption that is cut off', () => {
  const settle = async (run: () => Promise<unknown>) => {
    for (let turn = 1; ; turn++)
      try {
        return await run()
      } catch (error) {
        if (turn === 5 || !RekeyError.is(error) || !error.retryable) throw error
      }
  }
  const steps = [stage('vault'), stage('aws'), promote('vault'), promote('aws')]

  test.each(['loseRequest', 'loseReply'] as const)('by %s at any request ends the same', async (fault) => {
    for (const store of ['vault', 'aws'] as const)
      for (const step of steps)
        for (let nth = 1; nth <= 4; nth++) {
          const w = world()
          writeByHand(w.secrets.vault, LIVE)
          writeByHand(w.secrets.aws, LIVE)
          for (const one of steps) {
            if (one === step) w.ways[store].faults[fault](nth)
            await settle(() => w.run(one))
            w.ways[store].faults.heal()
            // And once more, as after an outcome that was not recorded.
            await w.run(one)
          }
          for (const secret of Object.values(w.secrets)) {
            expect(secret.versions).toHaveLength(2)
            expect(secret.versions.at(-1)?.stored).toMatchObject({ generation: 1 })
          }
        }
  })

  test('beside a second worker ends the same', async () => {
    const w = world()
    writeByHand(w.secrets.vault, LIVE)
    writeByHand(w.secrets.aws, LIVE)
    for (const step of steps) await Promise.all([w.run(step), w.run(step)])
    for (const secret of Object.values(w.secrets)) expect(secret.versions).toHaveLength(2)
  })
})
