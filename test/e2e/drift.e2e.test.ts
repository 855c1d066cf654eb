import { randomBytes } from 'node:crypto'
import { Secret } from '@rekey/contracts'
import { afterEach, expect, inject, test, vi } from 'vitest'
import { handOf } from './plain-readers.ts'
import { startWorld, type World } from './world.ts'

let world: World | undefined
afterEach(async () => {
  await world?.close()
  world = undefined
})

const byHand = () => Secret.of(`sk-by-hand-${randomBytes(24).toString('base64url')}`)

/** Somebody edits a secret that Rekey governs. */
test('what somebody writes by hand is found, and replaced by a rotation', async () => {
  world = await startWorld({ stack: inject('stack') })
  const { control, credential, gateways, readers } = world
  const hand = handOf(world.servers, world)
  const everywhere = (status: number) => gateways.map(() => status)
  const look = async () => {
    const { asked } = await control.lookForDrift(credential)
    return vi.waitFor(
      async () => {
        const now = await control.driftOf(credential)
        expect(now.answered).toBeGreaterThanOrEqual(asked)
        return now
      },
      { timeout: 30_000, interval: 100 },
    )
  }
  try {
    expect((await look()).stores.map(({ state }) => state)).toEqual(['governed', 'governed'])
    const governed = (await readers.vault())?.value
    if (!governed) throw new Error('there is no first value')

    const value = byHand()
    await hand.writeVault(value)
    expect(await world.knock(value)).toEqual(everywhere(401))
    const { drift } = await look()
    expect(drift?.stores).toMatchObject([{ store: 'vault', kind: 'foreign', shows: null }])
    expect((await control.credential(credential)).drift).toMatchObject({ id: drift?.id })
    const seen = Object.fromEntries((drift?.stores ?? []).map((one) => [one.store, one.seen]))
    const { rotation } = await control.settleDrift(credential, 'edited by mistake', seen)
    expect(await world.ended(rotation)).toBe('closed')
    expect((await look()).drift).toBeNull()
    const shown = await Promise.all([readers.vault(), readers.aws()])
    expect(shown.map((read) => read?.generation)).toEqual([2, 2])
    for (const dead of [value, governed]) expect(await world.knock(dead)).toEqual(everywhere(401))
    if (shown[0]) expect(await world.knock(shown[0].value)).toEqual(everywhere(200))
    expect(JSON.stringify([drift, await control.rotation(rotation)])).not.toContain('sk-by-hand')
  } finally {
    hand.close()
  }
})
