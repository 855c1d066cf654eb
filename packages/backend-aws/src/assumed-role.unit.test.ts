import { RekeyError } from '@rekey/contracts'
import { expect, test } from 'vitest'
import { renewed } from './assumed-role.ts'

const MINUTE = 60_000

/** Sessions of an hour, from a server that can be away. */
function setUp() {
  const world = { now: 0, isAway: false, opened: 0 }
  const credentials = renewed(
    async () => {
      if (world.isAway) throw new RekeyError('backend_unavailable', 'STS is away')
      world.opened++
      return {
        accessKeyId: `ASIA${world.opened}`,
        secretAccessKey: 's',
        expiration: new Date(world.now + 60 * MINUTE),
      }
    },
    () => world.now,
  )
  const at = async (minutes: number) => {
    world.now = minutes * MINUTE
    return (await credentials()).accessKeyId
  }
  return { world, at }
}

test('opens the next session before the end of the one before, and not sooner', async () => {
  const { at } = setUp()
  expect([await at(0), await at(54), await at(56), await at(110), await at(112)]).toEqual([
    'ASIA1',
    'ASIA1',
    'ASIA2',
    'ASIA2',
    'ASIA3',
  ])
})

test('serves on with the old session where no new one can be had, while it lasts', async () => {
  const { world, at } = setUp()
  await at(0)
  world.isAway = true
  expect([await at(56), await at(58)]).toEqual(['ASIA1', 'ASIA1'])
  await expect(at(59.5)).rejects.toMatchObject({ code: 'backend_unavailable' })
  world.isAway = false
  expect(await at(60)).toBe('ASIA2')
})

test('does not ask again at every call while none can be had', async () => {
  const { world, at } = setUp()
  await at(0)
  world.isAway = true
  await at(56)
  world.isAway = false
  expect([await at(56.1), await at(56.6)]).toEqual(['ASIA1', 'ASIA2'])
})
