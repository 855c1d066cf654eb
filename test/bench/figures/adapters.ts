import { setTimeout as delay } from 'node:timers/promises'
import { type Lap, startAskers } from '../adapters/askers.ts'
import { CASES } from '../adapters/cases.ts'
import type { AdapterCase, Subject } from '../adapters/subject.ts'
import type { Bench } from '../bench.ts'
import type { Figure } from '../report.ts'
import { digits } from '../statistics.ts'

const CLIENTS = 16
const QUICK = ['`haproxy`', '`nginx-map`', '`pgbouncer`', '`file`, keys']

/** What a change of a node's value costs those who use it, by adapter. */
export async function adapters({ servers, quick, say }: Bench): Promise<Figure> {
  const sizes = quick ? { changes: 2, bareMs: 300 } : { changes: 40, bareMs: 5_000 }
  const rows: string[][] = []
  // One of each way to be told shows that it works.
  for (const one of quick ? CASES.filter(({ name }) => QUICK.includes(name)) : CASES) {
    say(`adapters: ${sizes.changes} changes of ${one.name}`)
    rows.push(await row(one, await one.start(servers), sizes))
  }
  return {
    name: 'adapters',
    floor: 'the same software and clients, before and after, while nothing changes',
    tables: [
      {
        title: `${sizes.changes} changes under ${CLIENTS} clients that ask without a pause, milliseconds`,
        columns: [
          'adapter',
          'class',
          'changes',
          'seconds of one',
          'requests',
          'failed a change',
          'a long request meanwhile',
          'p50',
          'p99',
          'floor p50',
          'floor p99',
          'p50 ÷ floor',
          'p99 ÷ floor',
        ],
        rows,
      },
    ],
    notes: [
      'the software and the agent are real; the fleet, which says what to hold, and Vault are played, and all share this machine',
      'of `pgbouncer` a request is a transaction, and what is long is one, too; of `file` the software is a small application of the bench; of `container-credentials` a request asks the agent for the key and a played AWS with it',
    ],
  }
}

async function row(
  { name }: AdapterCase,
  subject: Subject,
  { changes, bareMs }: { changes: number; bareMs: number },
): Promise<string[]> {
  try {
    const askers = startAskers(CLIENTS, subject.ask)
    await askers.answered()
    askers.lap()
    await delay(bareMs)
    const before = askers.lap()
    const began = performance.now()
    for (let change = 0; change < changes; change++) await subject.change(askers.answered)
    const seconds = (performance.now() - began) / 1_000 / changes
    const beside = askers.lap()
    await delay(bareMs)
    const after = askers.lap()
    // The clients go on: who looks at its file when it is asked gives an old login back only then.
    const long = await longOne(subject, askers.answered)
    await askers.stop()
    const floor = (of: (lap: Lap) => number) => (of(before) + of(after)) / 2
    const [p50, p99] = [floor((lap) => lap.p50), floor((lap) => lap.p99)]
    const latencies = [beside.p50, beside.p99, p50, p99, beside.p50 / p50, beside.p99 / p99]
    return [
      name,
      subject.disruption(),
      String(changes),
      digits(seconds),
      beside.count.toLocaleString('en'),
      digits(beside.failed / changes),
      long,
      ...latencies.map(digits),
    ]
  } finally {
    await subject.stop()
  }
}

/** One that began with the old value, and goes on when that is dead. */
async function longOne({ long, change }: Subject, answered: () => Promise<void>): Promise<string> {
  if (!long) return 'there is none'
  const begun = await long()
  await change(answered)
  const wasOver = begun.isOver()
  const isIntact = await begun.intact
  if (isIntact && wasOver) return 'over too early'
  return isIntact ? 'intact' : 'cut'
}
