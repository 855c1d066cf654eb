import type { Bench } from '../bench.ts'
import {
  bareLeakOnce,
  clientsOf,
  type Exposure,
  type Leak,
  leak,
  ORDERS,
  type Order,
  withProber,
} from '../exposure/leak.ts'
import { type AgentSeen, watchVaultAgent } from '../exposure/vault-agent.ts'
import { setStage } from '../nodes/stage.ts'
import { startVault } from '../nodes/vault.ts'
import type { Figure, Table } from '../report.ts'
import { digits, median, percentile } from '../statistics.ts'

/** What is promised of the last place, at this many nodes. */
const GOAL = { nodes: 1_000, lastMs: { contain: 500, expedite: 2_000 }, floors: 3 }

/** The runs of one order at one size. */
type Cell = { order: Order; nodes: number; floor: Exposure[]; real: Leak[] }

/** How long a leaked value is still accepted somewhere, once Rekey has acknowledged that it leaked. */
export async function exposure({ servers, quick, runs, say }: Bench): Promise<Figure> {
  const { sizes, each, agentMs } = quick
    ? { sizes: [3, 10], each: 2, agentMs: 1_000 }
    : { sizes: [3, 100, 1_000], each: 17, agentMs: 330_000 }
  const vault = await startVault((line) => say(`exposure: ${line}`))
  try {
    // It sleeps all the time, so it may do that beside the rest.
    const agent = watchVaultAgent(vault, agentMs)
    agent.catch(() => undefined)
    const cells: Cell[] = []
    for (const nodes of sizes) {
      say(`exposure: ${nodes} nodes`)
      const stage = withProber(await setStage(servers, vault, nodes, say), vault)
      const clients = clientsOf(stage.places.rekey, stage.path, vault)
      try {
        for (const order of ORDERS) {
          const cell: Cell = { order, nodes, floor: [], real: [] }
          for (let run = 0; run < runs * each; run++) {
            // In turn, so that a machine that slows down slows both.
            cell.floor.push(await bareLeakOnce(stage, order))
            cell.real.push(await leak(stage, order, clients.start))
            say(`exposure: ${order} at ${nodes} nodes, ${run + 1} of ${runs * each}: ${lastOf(cell)}`)
          }
          cells.push(cell)
        }
      } finally {
        clients.close()
        await stage.close()
      }
    }
    say('exposure: waiting for Vault Agent')
    return figureOf(cells, await agent)
  } finally {
    await vault.stop()
  }
}

const lastOf = ({ floor, real }: Cell) =>
  `${digits(real.at(-1)?.lastMs ?? Number.NaN)} ms, floor ${digits(floor.at(-1)?.lastMs ?? Number.NaN)} ms`

function figureOf(cells: Cell[], agent: AgentSeen | undefined): Figure {
  return {
    name: 'exposure',
    floor:
      'a bare script with the same nodes and the same prober: one row is committed, each node is told over a TLS connection that is open, and applies it; to expedite, a value is made first, written to Vault, read by every node, and proved by every node. From before the commit',
    tables: [
      exposures(cells),
      requests(cells),
      ...ORDERS.map((order) =>
        timeOf(
          order,
          cells.filter((cell) => cell.order === order),
        ),
      ),
      processors(cells),
      vaultAgent(agent),
    ],
    notes: [
      "from the API's answer to the order until the prober is refused; a value is dead when the last node refuses it, so the goal is compared with that",
      `goal: p99 of the last at ${GOAL.nodes.toLocaleString('en')} nodes at most ${digits(GOAL.lastMs.contain)} ms (contain) and ${digits(GOAL.lastMs.expedite)} ms (expedite), and at most ${GOAL.floors} floors`,
      'real: PostgreSQL, Redis, Vault, conductor, rotator, fleet, control; nodes with their own certificate, session, Vault identity and proofs of possession. Not started: auditor and intake, for which no emergency waits',
      'played: the hosts. Nodes share one or two processes and all of it shares one machine; their journals are in memory, and they try values on themselves without HTTP',
      'expediteDrainMs and readerCacheMs are 0, the least: readers that keep a value for longer need a bound as long, which adds what of it the confirmation has not used up',
      'the prober asks 8 nodes every 4 ms and all that are left once half of those refuse: what that takes is in both halves',
      'first refusal: in contain any of the nodes, in expedite the canary',
    ],
  }
}

function exposures(cells: Cell[]): Table {
  return {
    title: 'milliseconds from the acknowledgement to the refusal (with fewer than 100 runs p99 is the most)',
    columns: [
      'order',
      'nodes',
      'runs',
      'first p50',
      'p99',
      'last p50',
      'p99',
      'floor p50',
      'p99',
      'p50 ÷ floor',
      'p99 ÷ floor',
      'goal',
    ],
    rows: cells.map(({ order, nodes, floor, real }) => {
      const first = real.map((run) => run.firstMs)
      const last = real.map((run) => run.lastMs)
      const bare = floor.map((run) => run.lastMs)
      const ratio = percentile(last, 0.99) / percentile(bare, 0.99)
      const isMet = percentile(last, 0.99) <= GOAL.lastMs[order] && ratio <= GOAL.floors
      return [
        order,
        String(nodes),
        String(real.length),
        ...[first, last, bare].flatMap((sample) => [
          digits(median(sample)),
          digits(percentile(sample, 0.99)),
        ]),
        digits(median(last) / median(bare)),
        digits(ratio),
        nodes === GOAL.nodes ? (isMet ? 'met' : 'not met') : '',
      ]
    }),
  }
}

function requests(cells: Cell[]): Table {
  return {
    title: 'requests of clients that read the store before each, while it was expedited',
    columns: ['nodes', 'answered', 'failed', 'the first failure'],
    rows: cells
      .filter(({ order }) => order === 'expedite')
      .map(({ nodes, real }) => {
        const sum = (pick: (requests: NonNullable<Leak['requests']>) => number) =>
          real.reduce((total, { requests: of }) => total + (of ? pick(of) : 0), 0)
        const [failure = ''] = real.flatMap(({ requests: of }) => of?.failures ?? [])
        return [String(nodes), String(sum((of) => of.ok)), String(sum((of) => of.failed)), failure]
      }),
  }
}

function timeOf(order: Order, cells: Cell[]): Table {
  const names = [
    ...new Set(cells.flatMap(({ real }) => real.flatMap(({ steps }) => steps.map((s) => s.name)))),
  ]
  const middle = ({ real }: Cell, name: string) => {
    const times = real.flatMap(({ steps }) => steps.filter((s) => s.name === name).map((s) => s.ms))
    return times.length === 0 ? '' : digits(median(times))
  }
  return {
    title: `${order}: where the time goes, one step after the other from the acknowledgement on (middle, ms)`,
    columns: ['until', ...cells.map(({ nodes }) => `${nodes} nodes`)],
    rows: [
      [
        'before it: the order until its acknowledgement',
        ...cells.map(({ real }) => digits(median(real.map((r) => r.orderMs)))),
      ],
      ...names.map((name) => [name, ...cells.map((cell) => middle(cell, name))]),
    ],
  }
}

function processors(cells: Cell[]): Table {
  const names = [...new Set(cells.flatMap(({ real }) => real.flatMap(({ cpu }) => [...cpu.keys()])))]
  return {
    title: 'processor time from the order to the last refusal (middle, ms)',
    columns: ['', ...cells.map(({ order, nodes }) => `${order} ${nodes}`)],
    rows: names.map((name) => [
      name,
      ...cells.map(({ real }) =>
        digits(median(real.map(({ cpu }) => (cpu.get(name) ?? Number.NaN) * 1_000))),
      ),
    ]),
  }
}

function vaultAgent(seen: AgentSeen | undefined): Table {
  const s = (ms: number) => digits(ms / 1_000)
  return {
    title: 'Vault Agent with its defaults, a template of one KV value, measured once',
    columns: ['from the write until its file has the next value', 's'],
    rows: [
      seen === undefined
        ? ['not measured: no vault binary was built here', '']
        : 'rendered' in seen
          ? ['it was there after', s(seen.rendered)]
          : ['it was not there after', `> ${s(seen.waited)}`],
      ['its own default, static_secret_render_interval: it asks every', '300'],
    ],
  }
}
