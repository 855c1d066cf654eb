import { percentile } from '../statistics.ts'
import type { World } from './world.ts'

export type Driven = {
  rotations: number
  seconds: number
  perS: number
  p50: number
  p99: number
  /** Milliseconds of each rotation, in the order of their ends. */
  times: number[]
  /** Seconds of processor time, by process. */
  cpu: Map<string, number>
  /** Transactions that wrote something. */
  commits: number
}

/** So many rotations, each credential one after the other: as soon as one has ended the next begins. */
export async function drive(
  world: World,
  rotations: number,
  onDone: (done: number) => void = () => undefined,
): Promise<Driven> {
  let left = rotations
  const times: number[] = []
  const commitsBefore = await writtenSoFar(world)
  world.cpu.lap()
  const startedAt = performance.now()
  await Promise.all(
    world.credentials.map(async (credential) => {
      while (left-- > 0) {
        const beganAt = performance.now()
        await world.rotate(credential)
        times.push(performance.now() - beganAt)
        onDone(times.length)
      }
    }),
  )
  const seconds = (performance.now() - startedAt) / 1_000
  return {
    rotations,
    seconds,
    perS: rotations / seconds,
    p50: percentile(times, 0.5),
    p99: percentile(times, 0.99),
    times,
    cpu: world.cpu.lap(),
    commits: (await writtenSoFar(world)) - commitsBefore,
  }
}

/** Only a transaction that writes gets a number. */
async function writtenSoFar({ pool }: World): Promise<number> {
  const { rows } = await pool.query('select pg_snapshot_xmax(pg_current_snapshot())::text as xid')
  return Number(rows[0].xid)
}
