import { expect, test } from 'vitest'
import { Pace } from './pace.ts'
import { awsQuotas, Quota } from './quota.ts'

/** A clock that moves when it is told to. */
class FakeClock {
  #now = 0
  #timers: { at: number; then: () => void }[] = []
  now = () => this.#now
  after = (ms: number, then: () => void) => {
    const timer = { at: this.#now + ms, then }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer)
    }
  }

  async pass(ms: number): Promise<void> {
    const until = this.#now + ms
    for (;;) {
      const [next] = this.#timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)
      if (!next) break
      this.#now = next.at
      this.#timers = this.#timers.filter((one) => one !== next)
      next.then()
      await settled()
    }
    this.#now = until
    await settled()
  }
}

const settled = async () => {
  for (let i = 0; i < 5; i++) await Promise.resolve()
}

function setUp() {
  const clock = new FakeClock()
  const quota = new Quota('writes in here', new Pace({ perS: 10, burst: 2, reserve: 1 }, () => 0.5), clock)
  const went: string[] = []
  const ask = (name: string, bound: { urgent?: boolean; signal?: AbortSignal } = {}) =>
    quota.turn(name, bound).then(
      (takenAt) => {
        went.push(name)
        return takenAt
      },
      (error) => {
        went.push(`${name}: ${error.code}`)
        return Number.NaN
      },
    )
  return { clock, quota, went, ask }
}

test('gives turns in the order in which they were asked for', async () => {
  const { clock, went, ask } = setUp()
  for (const name of ['a', 'b', 'c']) void ask(name)
  await settled()
  expect(went).toEqual(['a'])
  await clock.pass(100)
  expect(went).toEqual(['a', 'b'])
  await clock.pass(100)
  expect(went).toEqual(['a', 'b', 'c'])
})

test('lets an emergency go before all that wait, from the reserve at once', async () => {
  const { clock, went, ask } = setUp()
  for (const name of ['a', 'b', 'c']) void ask(name)
  void ask('fire', { urgent: true })
  void ask('smoke', { urgent: true })
  await settled()
  expect(went).toEqual(['a', 'fire'])
  await clock.pass(100)
  expect(went).toEqual(['a', 'fire', 'smoke'])
  await clock.pass(1_000)
  expect(went).toEqual(['a', 'fire', 'smoke', 'b', 'c'])
})

test('a call whose time is over leaves the line, and those behind it move up', async () => {
  const { clock, went, ask } = setUp()
  const time = new AbortController()
  void ask('a')
  void ask('b', { signal: time.signal })
  void ask('c')
  time.abort()
  await clock.pass(100)
  expect(went).toEqual(['a', 'b: throttled', 'c'])
})

test('a refusal by AWS stops everybody, and routine work does not wait for long', async () => {
  const { clock, quota, went, ask } = setUp()
  const takenAt = await ask('a')
  quota.refused(takenAt)
  void ask('fire', { urgent: true })
  void ask('b')
  await clock.pass(499)
  expect(went).toEqual(['a'])
  await clock.pass(1_500)
  expect(went).toEqual(['a', 'fire', 'b'])
  for (let i = 0; i < 4; i++) {
    const at = ask('again', { urgent: true })
    await clock.pass(20_000)
    quota.refused(await at)
  }
  went.length = 0
  void ask('late')
  void ask('fire', { urgent: true })
  await settled()
  expect(went).toEqual(['late: throttled'])
  await clock.pass(20_000)
  expect(went).toEqual(['late: throttled', 'fire'])
})

test('each account and region has quotas of its own, and says which in an error', async () => {
  const quotas = awsQuotas({ writesPerS: 1 })
  const here = quotas.of('own', 'eu-west-1', 'write')
  expect(quotas.of('own', 'eu-west-1', 'write')).toBe(here)
  expect(quotas.of('own', 'eu-west-2', 'write')).not.toBe(here)
  expect(quotas.of('111122223333', 'eu-west-1', 'write')).not.toBe(here)
  expect(quotas.of('own', 'eu-west-1', 'read')).not.toBe(here)
  here.refused(await here.turn('put', {}))
  const late = quotas
    .of('own', 'eu-west-1', 'write')
    .turn('put a version', { signal: AbortSignal.timeout(20) })
  await expect(late).rejects.toMatchObject({
    code: 'throttled',
    message: expect.stringMatching(
      /^put a version: the quota of writes to Secrets Manager in eu-west-1 \(our own account\)/,
    ),
  })
})
