import { setTimeout as pause } from 'node:timers/promises'
import { awsQuotas, connectSecretsManager, secretsManagerStore } from '@rekey/backend-aws'
import { RekeyError, type Store } from '@rekey/contracts'
import type { AwsPlace } from './aws-place.ts'
import { callOf, newValue } from './calls.ts'

export type UnderQuota = {
  rotations: number
  seconds: number
  /** Calls that AWS refused because there were too many. */
  refused: number
  /** How long an emergency took in the midst of it, from its order until readers have its value, in milliseconds. */
  emergencies: number[]
}

type Secret = { store: Store; current: string; generation: number }

/** Writes of a rotation: the value, AWSCURRENT, and the two labels of the old value. */
export const WRITES = 4
const EMERGENCIES = 5

/** Many rotations at once against an endpoint that refuses what is above its quota. */
export async function rotateUnderQuota(
  place: AwsPlace,
  {
    rotations,
    parallel,
    region,
    isPaced,
  }: {
    rotations: number
    parallel: number
    /** One that nothing was sent to before: each has a quota of its own. */
    region: string
    isPaced: boolean
  },
): Promise<UnderQuota> {
  const quotas = isPaced ? awsQuotas() : undefined
  const counts = { refused: 0 }
  const client = connectSecretsManager({
    region,
    endpoint: place.stack.aws.endpoint,
    credentialsFile: place.rotator.credentialsFile,
    ...(quotas && { quotas }),
  })
  const again = <T>(work: () => Promise<T>) => untilDone(work, counts)
  const make = async (name: string): Promise<Secret> => {
    const store = secretsManagerStore(client, { secretId: `quota/${name}-${crypto.randomUUID()}` })
    await again(() => store.stage(newValue(1), callOf('r1.stage.s')))
    const current = await again(() => store.promote(1, undefined, callOf('r1.promote.s')))
    return { store, current, generation: 1 }
  }
  const bringUp = async (of: Secret, urgent = false) => {
    const generation = of.generation + 1
    const call = (step: string) => ({ ...callOf(`r${generation}.${step}.s`), urgent })
    const value = newValue(generation)
    await again(() => of.store.stage(value, call('stage')))
    of.current = await again(() => of.store.promote(generation, of.current, call('promote')))
    of.generation = generation
  }
  try {
    const secrets: Secret[] = []
    for (let n = 0; n < parallel; n++) secrets.push(await make(`routine-${n}`))
    const leaked = await make('leaked')
    // What the set-up used of the endpoint's quota comes back.
    await pause(1_500)
    counts.refused = 0
    let left = rotations
    const startedAt = performance.now()
    const routine = Promise.all(
      secrets.map(async (secret) => {
        while (left-- > 0) {
          await bringUp(secret)
          const old = secret.generation - 1
          await again(() => secret.store.destroy(old, callOf(`r${old}.destroy.s`)))
        }
      }),
    ).then(() => performance.now() - startedAt)
    const emergencies: number[] = []
    for (let n = 0; n < EMERGENCIES; n++) {
      await pause(200)
      const before = performance.now()
      await bringUp(leaked, true)
      emergencies.push(performance.now() - before)
    }
    return { rotations, seconds: (await routine) / 1_000, refused: counts.refused, emergencies }
  } finally {
    client.close()
  }
}

/** As the ledger does it: again, each time later. */
async function untilDone<T>(work: () => Promise<T>, counts: { refused: number }): Promise<T> {
  for (let failures = 0; ; failures++) {
    try {
      return await work()
    } catch (error) {
      if (!RekeyError.is(error) || !error.retryable) throw error
      if (error.message.includes('Throttling')) counts.refused++
      await pause(Math.min(30_000, 400 * 2 ** failures))
    }
  }
}
