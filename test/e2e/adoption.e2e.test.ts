import { randomBytes } from 'node:crypto'
import { digestOf, Secret } from '@rekey/contracts'
import { afterEach, expect, inject, test, vi } from 'vitest'
import { handOf } from './plain-readers.ts'
import { startWorld, type World } from './world.ts'

let world: World | undefined
afterEach(async () => {
  await world?.close()
  world = undefined
})

/** Clients, gateways and stores had a key before there was Rekey. */
test('a key in use is adopted and then rotated under load, and nobody notices', async () => {
  const live = Secret.of(`sk-live-${randomBytes(24).toString('base64url')}`)
  world = await startWorld({
    stack: inject('stack'),
    live,
    rotatorEnv: { REKEY_INVENTORY: 'vault:secret/e2e,aws:eu-central-1/e2e/' },
  })
  const { control, credential, gateways, path } = world
  const hand = handOf(world.servers, world)
  const everywhere = (status: number) => gateways.map(() => status)
  try {
    await hand.writeVault(live)
    await hand.writeVault(Secret.of('planted-stray'), `${path}-stray`)
    // The agents are connected, and have not taken the key from their gateways.
    await vi.waitFor(
      async () => {
        const nodes = await control.nodes()
        expect(nodes.map(({ state }) => state)).toEqual(gateways.map(() => 'live'))
      },
      { timeout: 20_000, interval: 100 },
    )
    expect(await world.knock(live)).toEqual(everywhere(200))

    // AWS lacks it so far: nothing is done.
    const { rotation } = await control.adopt(credential, 'moving under Rekey')
    expect(rotation).toBe(`${credential}-g1`)
    await vi.waitFor(
      async () => {
        const { hold } = await control.rotation(rotation)
        expect(hold).toMatchObject({
          reason: 'effect_failed',
          detail: expect.stringContaining('aws has nothing'),
        })
      },
      { timeout: 20_000, interval: 100 },
    )
    expect(await world.knock(live)).toEqual(everywhere(200))
    expect((await world.readers.vault())?.generation).toBe(0)

    const beside = { team: 'ai', note: 'made by hand' }
    await hand.writeAws(live, beside)
    const clients = world.clients()
    await vi.waitFor(() => expect(clients.tally.byGeneration[0]).toBeGreaterThan(20), { timeout: 20_000 })
    await control.resume(rotation, 'the key is in AWS now')
    expect(await world.ended(rotation)).toBe('closed')

    // As if Rekey had made it, and the same key.
    for (const read of [world.readers.vault, world.readers.aws]) {
      const seen = await read()
      expect(seen).toMatchObject({ generation: 1, keyId: `${credential}.g1` })
      expect(seen?.value.equals(live)).toBe(true)
    }
    expect(await hand.readAws()).toMatchObject(beside)
    expect(await world.knock(live)).toEqual(everywhere(200))
    const { nodes } = await control.rotation(rotation)
    expect(nodes.map(({ proved }) => proved)).toEqual(gateways.map(() => [1]))
    await vi.waitFor(
      async () => {
        const { found } = await control.who([digestOf(live.reveal())])
        expect(JSON.stringify(found)).toContain(`"${credential}"`)
      },
      { timeout: 20_000, interval: 200 },
    )

    await vi.waitFor(() => expect(clients.tally.byGeneration[1]).toBeGreaterThan(20), { timeout: 20_000 })
    const second = await control.rotate(credential, 'it is ours now')
    expect(await world.ended(second.rotation)).toBe('closed')
    const { failed, streamsFailed, byGeneration, failures } = await clients.stop()
    expect({ failed, streamsFailed, failures }).toEqual({ failed: 0, streamsFailed: 0, failures: [] })
    expect(Object.keys(byGeneration).sort()).toEqual(['0', '1', '2'])
    expect(await world.knock(live)).toEqual(everywhere(401))
    expect(await hand.readAws()).toMatchObject(beside)

    // What else is there belongs to nobody.
    const asked = await control.scanInventory()
    const scan = await vi.waitFor(
      async () => {
        const now = await control.inventoryScan(asked.id)
        expect(now.finishedAt).not.toBeNull()
        return now
      },
      { timeout: 30_000, interval: 200 },
    )
    expect(scan.found?.places.map(({ error }) => error)).toEqual([null, null])
    const names = scan.found?.ungoverned.map(({ name }) => name)
    expect(names).toContain(`${path}-stray`)
    expect(names).not.toContain(path)
    expect(scan.found?.missing.filter((one) => one.credential === credential)).toEqual([])
    expect(JSON.stringify(scan)).not.toContain('planted')
  } finally {
    hand.close()
  }
})
