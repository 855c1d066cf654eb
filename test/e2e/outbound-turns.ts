import { readFile } from 'node:fs/promises'
import { expect } from 'vitest'
import type { Outbound, OutboundWorld } from './outbound-world.ts'

/** Where a process is killed, and which. Of lengths without a common divisor: in 35 turns each meets each. */
const MOMENTS = [
  'StagingStarted',
  'InstallAsked',
  'WaveStarted',
  'StorePromoted',
  'DrainingStarted',
  'ProvingStarted',
  'RevocationStarted',
]
export const victims = ({ platform: { services }, agents: [one, two] }: OutboundWorld) => [
  services.rotator,
  services.conductor,
  services.fleet,
  one,
  two,
]

export type Turns = {
  count: number
  /** Tries a value for real: `in`, or how it was refused. */
  knock(value: string): Promise<string>
  /** How a dead one must be refused. */
  refusal: string
  seed: number
}

/** Replaces a credential again and again, the last time in a hurry, and kills somebody each time but that one. */
export async function turns(
  w: OutboundWorld,
  { credential, files }: Pick<Outbound, 'credential' | 'files'>,
  { count, knock, refusal, seed }: Turns,
): Promise<void> {
  const valueIn = async (file = '') => (await readFile(file, 'utf8')).trim()
  for (let turn = 0; turn < count; turn++) {
    const old = await valueIn(files[0])
    expect(await knock(old)).toBe('in')
    const inHurry = turn === count - 1
    const { rotation } = inHurry
      ? await w.control.expedite(credential, 'seen in a paste')
      : await w.control.rotate(credential, `turn ${turn}`)
    if (!inHurry) {
      await w.reaches(rotation, MOMENTS[(turn + seed) % MOMENTS.length] ?? '')
      const all = victims(w)
      await all[(turn + seed) % all.length]?.kill()
    }
    expect(await w.ended(rotation, 180_000)).toBe('closed')
    expect((await w.control.rotation(rotation)).exceptions).toEqual([])
    for (const file of files) {
      const now = await valueIn(file)
      expect(now).not.toBe(old)
      expect(await knock(now)).toBe('in')
    }
    expect(await knock(old)).toBe(refusal)
  }
}
