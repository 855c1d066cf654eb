import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type NodeBench, startNode } from './node-bench.ts'
import { until } from './until.ts'

/** Each step is held from outside, where its first trace can be seen; there the agent is killed and started again. */

/** A hook that reports its first match and then never lets go: what was asked dies with who asked. */
function holdAt<T extends string>(matches: (what: T) => boolean) {
  const reached = Promise.withResolvers<void>()
  let held = false
  const before = async (what: T) => {
    if (held || !matches(what)) return
    held = true
    reached.resolve()
    await new Promise(() => {})
  }
  return { before, reached: reached.promise }
}

describe('an agent that is killed while it narrows from two keys to one', () => {
  let node: NodeBench
  beforeAll(async () => {
    node = await startNode()
    node.start()
  })
  afterAll(() => node?.stop())

  let generation = 1
  beforeEach(async () => {
    node.gate.hooks.before = async () => {}
    node.vault.hooks.before = async () => {}
    generation += 1
    await node.acked(node.order([generation - 1, generation], { floor: generation - 1 }))
  })

  async function recovers(reached: Promise<void>, dropsSession = true): Promise<void> {
    const revision = node.order([generation], { refuse: [generation - 1], floor: generation })
    await reached
    await node.kill()
    // Serving never depends on the agent.
    expect(await node.statusOf(generation)).toBe(200)
    if (dropsSession) node.fleet.drop()
    node.gate.hooks.before = async () => {}
    node.vault.hooks.before = async () => {}
    node.start()
    await node.acked(revision)
    expect(await node.statusOf(generation)).toBe(200)
    expect(await node.statusOf(generation - 1)).toBe(401)
    expect((await node.ready()).credentials[0]).toMatchObject({ accept: [generation], problem: null })
  }

  test('while it reads from Vault', async () => {
    const hold = holdAt<string>((path) => path.includes('/data/'))
    node.vault.hooks.before = hold.before
    // What a session has read it does not read again.
    node.fleet.drop()
    await recovers(hold.reached)
  })

  test.each(['prepare map', 'add map', 'commit map'])('at "%s"', async (verb) => {
    const hold = holdAt<string>((command) => command.startsWith(verb))
    node.gate.hooks.before = hold.before
    await recovers(hold.reached)
  })

  test('just after the swap, before it tried anything', async () => {
    const swapped = Promise.withResolvers<void>()
    node.gate.hooks.before = async (command) => {
      if (!command.startsWith('commit map')) return
      setTimeout(swapped.resolve, 5)
    }
    await recovers(swapped.promise)
  })

  test('just after its ack', async () => {
    const acked = Promise.withResolvers<void>()
    node.fleet.hooks.onMessage = (message) => {
      if (message.type === 'ack' && message.proofs.length === 1) acked.resolve()
    }
    await recovers(acked.promise)
    node.fleet.hooks.onMessage = () => {}
  })

  test('and comes back without fleet: the key that had to die stays dead', async () => {
    const hold = holdAt<string>((command) => command.startsWith('prepare map'))
    node.gate.hooks.before = hold.before
    node.order([generation], { refuse: [generation - 1], floor: generation })
    await hold.reached
    await node.kill()
    node.gate.hooks.before = async () => {}
    // A fleet that answers nothing: the journal alone must do.
    node.fleet.mute(true)
    node.start()
    await until('narrowed from the journal', async () => (await node.statusOf(generation - 1)) === 401)
    expect(await node.statusOf(generation)).toBe(200)
    node.fleet.mute(false)
  })
})

describe('an agent that is killed while it enrols', () => {
  let node: NodeBench
  beforeEach(async () => {
    node = await startNode()
  })
  const stop = () => node.stop()

  test('before the fleet answers: says that a new token is needed, and takes it', async () => {
    const redeemed = Promise.withResolvers<void>()
    node.fleet.hooks.beforeEnrolAnswer = async () => {
      redeemed.resolve()
      await new Promise(() => {})
    }
    node.start()
    await redeemed.promise
    await node.kill()
    node.fleet.hooks.beforeEnrolAnswer = async () => {}
    const second = node.start()
    expect(await second.exited).toBe(3)
    expect(second.lines.join('\n')).toMatch(/ask for a new join token/)
    await node.newToken()
    node.start()
    await node.acked(node.order([1]))
    await stop()
  })

  test('before the secret id is unwrapped: goes on by itself', async () => {
    const hold = holdAt<string>((path) => path.includes('unwrap'))
    node.vault.hooks.before = hold.before
    node.start()
    await hold.reached
    await node.kill()
    node.vault.hooks.before = async () => {}
    node.start()
    await node.acked(node.order([1]))
    await stop()
  })

  test('after the secret id was unwrapped, before it is stored: says that a new token is needed', async () => {
    // The token is opened on the way, as if the answer had been lost.
    node.vault.hooks.before = async (path) => {
      if (path.includes('unwrap')) node.vault.unwrapped.add(`wrapped-${'t'.repeat(40)}`)
    }
    const first = node.start()
    expect(await first.exited).toBe(3)
    expect(first.lines.join('\n')).toMatch(/opened already/)
    node.vault.hooks.before = async () => {}
    await node.newToken()
    node.start()
    await node.acked(node.order([1]))
    await stop()
  })

  test('with fleet and Vault not up yet, it waits for them', async () => {
    node.vault.mode.away = true
    node.start()
    await until('it waits', () => node.logs().some((line) => line.includes('not enrolled yet')))
    node.vault.mode.away = false
    await node.acked(node.order([1]))
    await stop()
  })
})
