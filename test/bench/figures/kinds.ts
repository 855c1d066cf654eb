import type { Bench } from '../bench.ts'
import type { Figure } from '../report.ts'
import { digits, inTurn, percentile } from '../statistics.ts'
import { startAws } from '../world/aws-place.ts'
import { type Kind, startKinds } from '../world/kinds/index.ts'

/** A local endpoint with a quota would measure the quota. */
const NO_QUOTA = 1_000_000

/** What an authority takes in one rotation, beside the bare calls that nobody can do without. */
export async function kinds({ servers, quick, say }: Bench): Promise<Figure> {
  const times = quick ? 2 : 40
  const place = await startAws(NO_QUOTA, (line) => say(`kinds: ${line}`))
  const all: Kind[] = []
  try {
    all.push(...(await startKinds(place, servers)))
    const rows: string[][] = []
    for (const { kind, ours, bare } of all) {
      say(`kinds: ${times} times ${kind}`)
      // The first of each opens connections.
      for (const first of [bare, ours]) await first()
      const pairs = await inTurn(times, timed(bare), timed(ours))
      const p = (share: number, of: 'floor' | 'real') =>
        percentile(
          pairs.map((pair) => pair[of]),
          share,
        )
      rows.push([
        kind,
        ...[p(0.5, 'real'), p(0.99, 'real'), p(0.5, 'floor'), p(0.99, 'floor')].map(digits),
        digits(p(0.5, 'real') / p(0.5, 'floor')),
      ])
    }
    return {
      name: 'kinds',
      floor:
        'the same end by the fewest calls, in order, by whoever trusts that nothing fails, nobody else is there and nothing is done twice',
      tables: [
        {
          title: `what an authority takes in one rotation (${times} times each): make, install, try the new one, end the old one, try that`,
          columns: ['kind', 'p50 ms', 'p99 ms', 'floor p50', 'floor p99', 'p50 ÷ floor'],
          rows,
        },
      ],
      notes: [
        'without stores, nodes and the ledger; the servers are on this machine, so a round trip costs next to nothing',
      ],
    }
  } finally {
    for (const { close } of all) await close()
    await place.stop()
  }
}

const timed = (work: () => Promise<void>) => async () => {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}
