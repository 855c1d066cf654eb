import { type Ledger, migrate, openLedger, type VerifiedAck } from '@rekey/ledger'
import type { Bench } from '../bench.ts'
import { CONNECTIONS, oneRow } from '../floor/one-row.ts'
import type { Figure } from '../report.ts'
import { digits, median, percentile, spread } from '../statistics.ts'
import { Batch } from '../world/batch.ts'
import { workByHand } from '../world/by-hand.ts'
import { credentialOf, namesOf, workloadOf } from '../world/documents.ts'

/** Milliseconds of each, from when all were there; `all`: until the last one was written. */
type Sample = { p50: number; p99: number; all: number }

/** 500 nodes that answer at once, and 500 inputs at once, all about one rotation. */
export async function submit({ servers, quick, runs, say }: Bench): Promise<Figure> {
  const count = quick ? 10 : 500
  const url = await servers.createDatabase()
  await migrate(url)
  const ledger = openLedger({ url, name: 'bench' })
  const floor = await oneRow(servers)
  const [names] = [namesOf(0, count)]
  const found = new Map<string, { real: Sample; floor: Sample }[]>()
  const measure = async (what: string, work: () => Promise<number[]>) => {
    const bare = sampleOf(await floor.update(count))
    found.set(what, [...(found.get(what) ?? []), { real: sampleOf(await work()), floor: bare }])
  }
  try {
    say(`submit: ${count} nodes join`)
    await ledger.configure([workloadOf(names)], { apply: true, actor: 'bench' })
    const sessions = await join(ledger, names.workload, names.nodes)
    await ledger.configure(credentialOf(names, { waves: ['100%'], waveDeadlineMs: 3_600_000 }), {
      apply: true,
      actor: 'bench',
    })
    const site = { ledger, credential: names.credential, sessions, measure, acknowledged: new Set<string>() }
    // The first value goes unmeasured, for the plans and the pages to be there.
    await rotate({ ...site, measure: async (_what, work) => void (await work()) }, 1)
    for (let run = 0; run < runs; run++) {
      say(`submit: run ${run + 1} of ${runs}`)
      await ledger.start(names.credential, {
        cause: { kind: 'order', actor: 'bench', reason: 'bench' },
        mode: 'rotate',
        goal: 'replace',
        compromised: [],
      })
      await rotate(site, run + 2)
    }
  } finally {
    await Promise.all([ledger.close(), floor.close()])
  }
  const column = (pick: (sample: Sample) => number, of: { real: Sample; floor: Sample }[]) => [
    digits(median(of.map((pair) => pick(pair.real)))),
    digits(median(of.map((pair) => pick(pair.floor)))),
    spread(of.map((pair) => pick(pair.real) / pick(pair.floor))),
  ]
  return {
    name: 'submit',
    floor: `${count} transactions at once that each lock one and the same row, change it and commit; 10 connections, as a service has`,
    tables: [
      {
        title: `${count} at once about one rotation, milliseconds (middle of the samples)`,
        columns: [
          'what',
          'samples',
          'p50',
          'floor',
          'ours ÷ floor',
          'p99',
          'floor',
          'ours ÷ floor',
          'all written',
          'floor',
          'ours ÷ floor',
        ],
        rows: [...found].map(([what, of]) => [
          what,
          String(of.length),
          ...column((sample) => sample.p50, of),
          ...column((sample) => sample.p99, of),
          ...column((sample) => sample.all, of),
        ]),
      },
    ],
    notes: [
      'acks as fleet writes them: at most 100 in a statement, 20 ms gathered, one statement after the other; with the last one the wave moves on',
      'acks one by one: what batches spare',
      'inputs that decide nothing: a proof of a wave that is not under way, each under the lock of its credential',
      'inputs that each decide: every node reports that it cannot reach its store, which is journalled; the state grows with each',
    ],
  }
}

function sampleOf(times: number[]): Sample {
  return { p50: percentile(times, 0.5), p99: percentile(times, 0.99), all: Math.max(...times) }
}

type Site = {
  ledger: Ledger
  credential: string
  sessions: Map<string, number>
  acknowledged: Set<string>
  measure: (what: string, work: () => Promise<number[]>) => Promise<void>
}

/** Plays one rotation to its end, and measures at its three waves. */
async function rotate(site: Site, generation: number): Promise<void> {
  const { ledger, credential, acknowledged, measure } = site
  const id = `${credential}-g${generation}`
  let revision = -1
  let waves = 0
  for (;;) {
    while ((await workByHand(ledger, acknowledged)) > 0);
    const { outcome, nodes } = await ledger.showRotation(id)
    if (outcome) return
    const told = nodes[0]?.revision ?? 0
    if (told === revision) await report(site)
    else {
      revision = told
      const acks = await answers(site)
      if (waves === 0)
        await measure('inputs that decide nothing', () =>
          together(acks, () => ledger.submit(id, { type: 'WaveProved', revision: revision - 1 }, 'fleet')),
        )
      if (waves === 1) {
        await measure('inputs that each decide', () =>
          together(acks, ({ node }) =>
            ledger.submit(
              id,
              {
                type: 'NodeNacked',
                node,
                revision,
                generation,
                reason: 'store_unreachable',
                detail: 'bench',
              },
              `node/${node}`,
            ),
          ),
        )
        await measure('acks one by one', () => together(acks, (ack) => ledger.fleet.recordAcks([ack])))
      } else await measure('acks in batches of 100', () => inBatches(ledger, acks))
      waves++
    }
  }
}

/** As many at once as a service has connections; the others wait in the service, and their time counts. */
async function together(
  acks: VerifiedAck[],
  work: (ack: VerifiedAck) => Promise<unknown>,
): Promise<number[]> {
  const startedAt = performance.now()
  const times: number[] = []
  const waiting = acks.values()
  const inTurn = async () => {
    for (const ack of waiting) {
      await work(ack)
      times.push(performance.now() - startedAt)
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, inTurn))
  return times
}

async function inBatches(ledger: Ledger, acks: VerifiedAck[]): Promise<number[]> {
  const times: number[] = []
  const startedAt = performance.now()
  const batch = new Batch<VerifiedAck>({
    flushMs: 20,
    itemsMax: 100,
    retryMs: [],
    onLost: (error) => {
      throw error
    },
    async write(items) {
      await ledger.fleet.recordAcks(items)
      for (const _ of items) times.push(performance.now() - startedAt)
    },
  })
  for (const ack of acks) batch.add(ack)
  await batch.flush()
  return times
}

async function answers({ ledger, credential, sessions }: Site): Promise<VerifiedAck[]> {
  const desired = await ledger.fleet.desiredStates([...sessions.keys()])
  return [...desired].flatMap(([node, states]) =>
    states.map(({ revision, accept }) => ({
      node,
      session: sessions.get(node) ?? 0,
      credential,
      revision,
      proved: accept.map((a) => a.generation),
      refusals: [],
    })),
  )
}

/** The counters that a drain waits for. */
async function report({ ledger, credential, sessions }: Site): Promise<void> {
  await ledger.fleet.recordUsage(
    [...sessions].map(([node, session]) => ({ type: 'usage', node, session, credential, generations: [] })),
  )
}

async function join(ledger: Ledger, workload: string, nodes: string[]): Promise<Map<string, number>> {
  const sessions = new Map<string, number>()
  const waiting = [...nodes]
  const joinAll = async () => {
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
      const { token } = await ledger.createJoinToken({ node, workload, ttlMs: 600_000, actor: 'bench' })
      await ledger.fleet.redeemJoinToken(node, token)
      const { session } = await ledger.fleet.openSession({ node, boot: 'b', instance: 'bench' })
      sessions.set(node, session)
    }
  }
  await Promise.all(Array.from({ length: 8 }, joinAll))
  return sessions
}
