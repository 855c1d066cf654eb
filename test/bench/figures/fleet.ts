import { setTimeout as delay } from 'node:timers/promises'
import type { JournalEntry } from '@rekey/ledger'
import { nowMs } from '../../fleet/clock.ts'
import type { Bench } from '../bench.ts'
import { type Cpu, residentBytes } from '../cpu.ts'
import { type Stage, setStage } from '../nodes/stage.ts'
import { startVault } from '../nodes/vault.ts'
import type { Figure, Table } from '../report.ts'
import { digits, median } from '../statistics.ts'

/** What is promised: rolling in so many floors; of a storm, its fullest second beside its middle one. */
const GOAL = { floors: new Map([[1_000, 3] as const, [10_000, 1.5] as const]), stormPeak: 3, fewerCalls: 100 }

/** Seconds: from the order to its end, of which so many were the drain, and of processor time, of everybody. */
type Roll = { s: number; cpuS: number; drainS: number }
/** When a step of a rotation was written, in seconds after its opening. */
type Moment = { name: string; s: number }
type Cell = {
  nodes: number
  ours: Roll[]
  floor: Roll[]
  /** Processor seconds of the middle run by process. */
  cpu: Map<string, number>
  moments: Moment[]
  memory: { before: number; after: number } | undefined
  idle: Idle
  storm: Storm
}
/** What nodes ask of Vault while nothing changes. */
type Idle = { calls: number; s: number }
/** Connections a second after the fleet's process was killed. */
type Storm = { s: number; connections: number; peak: number; mean: number }

/** A fleet that rolls a value over, that idles, and that connects again all at once. */
export async function fleet({ servers, quick, runs, say }: Bench): Promise<Figure> {
  const { sizes, each, idleS } = quick
    ? { sizes: [5], each: 1, idleS: 1 }
    : { sizes: [1_000, 10_000], each: 3, idleS: 120 }
  const vault = await startVault((line) => say(`fleet: ${line}`), true)
  try {
    const cells: Cell[] = []
    for (const nodes of sizes) {
      say(`fleet: ${nodes} nodes`)
      const stage = await setStage(servers, vault, nodes, say)
      try {
        cells.push(await measured(stage, { nodes, runs: runs * each, idleS, say }))
      } finally {
        await stage.close()
      }
    }
    return figureOf(cells)
  } finally {
    await vault.stop()
  }
}

async function measured(
  stage: Stage,
  { nodes, runs, idleS, say }: { nodes: number; runs: number; idleS: number; say: Bench['say'] },
): Promise<Cell> {
  const used = stage.cpu()
  const ours: (Roll & { by: Map<string, number>; moments: Moment[] })[] = []
  const floor: Roll[] = []
  await stage.bare.prepare()
  for (let run = 1; run <= runs; run++) {
    // In turn, so that a machine that slows down slows both.
    floor.push(await timed(used, () => stage.bare.roll()))
    let moments: Moment[] = []
    const roll = await timed(used, async () => {
      const { rotation } = await stage.control.rotate(stage.credential, 'the fleet rolls')
      moments = momentsOf(await stage.closed(rotation))
    })
    ours.push({ ...roll, moments, drainS: between(moments, 'DrainingStarted', 'RevocationAnnounced') })
    say(
      `fleet: ${nodes} nodes, ${run} of ${runs}: ${digits(ours.at(-1)?.s ?? 0)} s, floor ${digits(floor.at(-1)?.s ?? 0)} s`,
    )
  }
  const middle = ours.toSorted((a, b) => a.s - b.s)[Math.floor(ours.length / 2)]
  const idle = await idling(stage, idleS)
  say(`fleet: ${nodes} nodes asked Vault ${idle.calls} times in ${digits(idle.s)} s of idleness`)
  const { emptyFleetBytes: before } = stage
  const after = stage.fleet.pid === undefined ? undefined : residentBytes(stage.fleet.pid)
  const memory = before === undefined || after === undefined ? undefined : { before, after }
  const storm = await reconnecting(stage, nodes)
  say(`fleet: ${nodes} nodes connected again in ${digits(storm.s)} s`)
  return {
    nodes,
    ours,
    floor,
    cpu: middle?.by ?? new Map(),
    moments: middle?.moments ?? [],
    memory,
    idle,
    storm,
  }
}

function momentsOf(entries: JournalEntry[]): Moment[] {
  const [opened] = entries
  const since = Date.parse(opened?.at ?? '')
  return entries.map(({ type, data, at }) => ({
    name: [type, data.purpose, typeof data.wave === 'number' ? data.wave + 1 : undefined]
      .filter(Boolean)
      .join(' '),
    s: (Date.parse(at) - since) / 1_000,
  }))
}

const between = (moments: Moment[], from: string, to: string) => {
  const at = (name: string) => moments.find((moment) => moment.name === name)?.s ?? 0
  return at(to) - at(from)
}

async function timed(used: Cpu, work: () => Promise<void>): Promise<Roll & { by: Map<string, number> }> {
  used.lap()
  const began = nowMs()
  await work()
  const s = (nowMs() - began) / 1_000
  const by = used.lap()
  return { s, cpuS: [...by.values()].reduce((sum, spent) => sum + spent, 0), drainS: 0, by }
}

async function idling(stage: Stage, seconds: number): Promise<Idle> {
  await stage.vaultCalls()
  const began = nowMs()
  await delay(seconds * 1_000)
  return { calls: await stage.vaultCalls(), s: (nowMs() - began) / 1_000 }
}

/** The fleet's process is killed, as by the kernel; its supervisor starts it again at once. */
async function reconnecting(stage: Stage, nodes: number): Promise<Storm> {
  await stage.connectedAt()
  await stage.fleet.kill()
  const at: number[] = []
  const deadline = nowMs() + 300_000
  while (at.length < nodes) {
    if (nowMs() > deadline) throw new Error(`${at.length} of ${nodes} nodes are connected again`)
    await delay(200)
    at.push(...(await stage.connectedAt()))
  }
  at.sort((a, b) => a - b)
  const [first = 0] = at
  const s = Math.max(1, ((at.at(-1) ?? first) - first) / 1_000)
  const bySecond = Map.groupBy(at, (one) => Math.floor((one - first) / 1_000))
  return {
    s,
    connections: at.length,
    peak: Math.max(...[...bySecond.values()].map((some) => some.length)),
    mean: at.length / s,
  }
}

function figureOf(cells: Cell[]): Figure {
  return {
    name: 'fleet',
    floor:
      'a bare script with the same nodes: one row is committed, a value made and written to Vault; each node is told over a TLS connection that is open, reads the value with its own identity, proves it, proves it once more, and says that it refuses the old one; one more row',
    tables: [rolling(cells), steps(cells), processors(cells), idleCalls(cells), storms(cells)],
    notes: [
      'real: PostgreSQL, Redis, Vault, conductor, rotator, fleet, control, and auditor with Kafka; nodes with their own certificate, session, Vault identity and proofs of possession. Not started: intake',
      'played: the hosts. Up to 500 nodes share a process, and all of it shares one machine; journals are in memory, and nodes try values on themselves without HTTP',
      'ours has three waves (one node, a tenth, everybody), tries the old value before it ends it and proves its refusal at three endpoints; waiting times (settleMs, quietMs, readerCacheMs) are 0',
      `goal: at most ${[...GOAL.floors].map(([nodes, floors]) => `${floors} floors at ${nodes.toLocaleString('en')} nodes`).join(', ')}; a storm's fullest second at most ${GOAL.stormPeak} times the mean; at least ${GOAL.fewerCalls} times fewer calls than a poller`,
    ],
  }
}

function rolling(cells: Cell[]): Table {
  return {
    title:
      'one value rolled over: from the order until it has closed, middle. The drain waits until each node has said that the old value is unused, which nodes say every 5 s; the floor waits for nothing',
    columns: [
      'nodes',
      'runs',
      's',
      'of it drain',
      'floor s',
      '÷ floor',
      'without the drain',
      'goal',
      'processor s',
      'floor',
      '÷ floor',
      'fleet, KB a node',
    ],
    rows: cells.map(({ nodes, ours, floor, memory }) => {
      const middle = (rolls: Roll[], pick: (roll: Roll) => number) => median(rolls.map(pick))
      const floorS = middle(floor, (r) => r.s)
      const ratio = middle(ours, (r) => r.s - r.drainS) / floorS
      const most = GOAL.floors.get(nodes as 1_000)
      return [
        String(nodes),
        String(ours.length),
        digits(middle(ours, (r) => r.s)),
        digits(middle(ours, (r) => r.drainS)),
        digits(floorS),
        digits(middle(ours, (r) => r.s) / floorS),
        digits(ratio),
        most === undefined ? '' : ratio <= most ? 'met' : 'not met',
        digits(middle(ours, (r) => r.cpuS)),
        digits(middle(floor, (r) => r.cpuS)),
        digits(middle(ours, (r) => r.cpuS) / middle(floor, (r) => r.cpuS)),
        memory ? digits((memory.after - memory.before) / 1_024 / nodes) : 'unknown',
      ]
    }),
  }
}

function steps(cells: Cell[]): Table {
  const names = [...new Set(cells.flatMap(({ moments }) => moments.map(({ name }) => name)))]
  return {
    title: 'our middle run, step by step: seconds from its opening to the transaction that wrote the step',
    columns: ['', ...cells.map(({ nodes }) => `${nodes} nodes`)],
    rows: names.map((name) => [
      name,
      ...cells.map(({ moments }) => {
        const moment = moments.find((one) => one.name === name)
        return moment ? moment.s.toFixed(2) : ''
      }),
    ]),
  }
}

function processors(cells: Cell[]): Table {
  const names = [...new Set(cells.flatMap(({ cpu }) => [...cpu.keys()]))].filter(
    (name) => !/^nodes \d/.test(name),
  )
  const nodesOf = (cpu: Map<string, number>) =>
    [...cpu].filter(([name]) => /^nodes \d/.test(name)).reduce((sum, [, spent]) => sum + spent, 0)
  return {
    title: 'processor time of our middle run, seconds',
    columns: ['', ...cells.map(({ nodes }) => `${nodes} nodes`)],
    rows: [
      ...names.map((name) => [name, ...cells.map(({ cpu }) => digits(cpu.get(name) ?? Number.NaN))]),
      ['played nodes', ...cells.map(({ cpu }) => digits(nodesOf(cpu)))],
    ],
  }
}

/** A poller that converges as fast has to ask so often that a change is found in the time that ours takes to all nodes. */
function idleCalls(cells: Cell[]): Table {
  return {
    title: 'requests to Vault while nothing changes, a node and hour',
    columns: ['nodes', 'seen', 'seconds watched', 'a poller as fast', 'times fewer', 'goal'],
    rows: cells.map(({ nodes, ours, idle }) => {
      const seen = ((idle.calls / nodes) * 3_600) / idle.s
      const poller = 3_600 / median(ours.map((r) => r.s))
      // Where none was seen at all, there may be one more than was seen.
      const fewer = (poller * nodes * idle.s) / 3_600 / Math.max(1, idle.calls)
      return [
        String(nodes),
        digits(seen),
        digits(idle.s),
        digits(poller),
        `${idle.calls === 0 ? '> ' : ''}${digits(fewer)}`,
        fewer >= GOAL.fewerCalls ? 'met' : 'not met',
      ]
    }),
  }
}

function storms(cells: Cell[]): Table {
  return {
    title: 'the process of the fleet is killed: sessions that come back, by second',
    columns: ['nodes', 'seconds from first to last', 'fullest second', 'mean', 'peak ÷ mean', 'goal'],
    rows: cells.map(({ nodes, storm }) => {
      const ratio = storm.peak / storm.mean
      return [
        String(nodes),
        digits(storm.s),
        String(storm.peak),
        digits(storm.mean),
        digits(ratio),
        ratio <= GOAL.stormPeak ? 'met' : 'not met',
      ]
    }),
  }
}
