import type { Bench } from '../bench.ts'
import { commitsOf, record } from '../floor/recording.ts'
import { Replay } from '../floor/replay.ts'
import type { Figure, Table } from '../report.ts'
import { digits, inTurn, median, spread } from '../statistics.ts'
import { type Driven, drive } from '../world/drive.ts'
import { startWorld } from '../world/world.ts'

const NODES = 3

/** Rotations from the event to the end, many at once, beside what they have to write at the least. */
export async function rotations({ servers, quick, runs, say }: Bench): Promise<Figure> {
  const sizes = quick
    ? [{ parallel: 2, count: 2 }]
    : [
        { parallel: 1, count: 20 },
        { parallel: 10, count: 100 },
        { parallel: 100, count: 500 },
      ]
  const speed: Table = {
    title: `rotations from event to end (${runs} runs each: middle, least and most)`,
    columns: [
      'parallel',
      'rotations/s',
      'p50 s',
      'p99 s',
      'floor/s',
      'floor ÷ ours',
      'commits each',
      'floor commits',
    ],
    rows: [],
  }
  const cost: Table = { title: 'milliseconds of processor time a rotation', columns: ['parallel'], rows: [] }
  for (const { parallel, count } of sizes) {
    say(`rotations: ${count} of ${parallel} credentials`)
    const world = await startWorld({ servers, credentials: parallel, nodesEach: NODES })
    try {
      const [first] = world.credentials
      if (!first) throw new Error('no credential')
      await world.rotate(first)
      const recording = await record(world.pool, `${first.credential}-g2`)
      const replay = await Replay.open(servers, recording, parallel)
      let floorCpu = 0
      const pairs = await inTurn(
        runs,
        async () => {
          world.cpu.lap()
          const floor = await replay.run(count)
          floorCpu = (world.cpu.lap().get('PostgreSQL') ?? Number.NaN) / count
          return floor
        },
        () => drive(world, count),
      )
      await replay.close()
      const real = pairs.map((pair) => pair.real)
      speed.rows.push([
        String(parallel),
        spread(real.map((r) => r.perS)),
        spread(real.map((r) => r.p50 / 1_000)),
        spread(real.map((r) => r.p99 / 1_000)),
        spread(pairs.map((pair) => pair.floor.perS)),
        spread(pairs.map((pair) => pair.floor.perS / pair.real.perS)),
        digits(median(real.map((r) => r.commits / count))),
        String(commitsOf(recording)),
      ])
      const names = [...(real[0]?.cpu.keys() ?? [])]
      cost.columns = ['parallel', ...names, 'all', "the floor's PostgreSQL"]
      const each = (run: Driven, name: string) => ((run.cpu.get(name) ?? Number.NaN) / run.rotations) * 1_000
      cost.rows.push([
        String(parallel),
        ...names.map((name) => digits(median(real.map((run) => each(run, name))))),
        digits(median(real.map((run) => names.reduce((sum, name) => sum + each(run, name), 0)))),
        digits(floorCpu * 1_000),
      ])
    } finally {
      await world.close()
    }
  }
  return {
    name: 'rotations',
    floor:
      'the same rows in as few transactions as a rotation needs (each decision, each lease before its act, the proofs of each wave, the audit records), written by one bare connection for each credential with prepared statements, without waiting for anything else',
    tables: [speed, cost],
    notes: [
      `real: ledger, PostgreSQL, Redis, BullMQ, conductor, rotator; ${NODES} nodes and 2 stores each; in memory: stores and gateways; played: nodes, auditor (no Kafka)`,
      'a rotation alone mostly waits by design: a drain is looked at twice a second, and nodes report once a second',
    ],
  }
}
