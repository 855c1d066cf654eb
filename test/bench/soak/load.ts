import { setTimeout as delay } from 'node:timers/promises'
import { connectVault, vaultKvStore } from '@rekey/backend-vault'
import { nowMs } from '../../fleet/clock.ts'
import { serve } from '../nodes/calls.ts'
import { Series, type Summary } from '../series.ts'
import { type Answer, Connection } from './connection.ts'
import { KeptKey, type Key } from './keys.ts'
import { type Cut, startStreams } from './streams.ts'

/**
 * The clients, in a process of their own. Requests are due at fixed times, whatever became of those before them, and each is
 * timed from when it was due: a wait that the system causes is in the numbers of all that it keeps waiting.
 */

export type LoadOptions = {
  port: number
  rate: number
  /** Of which each has a key of its own, read from Vault. */
  clients: number
  cacheMs: number
  refreshMs: number
  streams: number
  streamMs: number
  vault: { addr: string; roleId: string; secretIdFile: string; path: string }
}
export type Phase = 'warm-up' | 'floor' | 'rollover' | 'between'
type Failure = { atMs: number; phase: Phase; seen: string; generation: number }
type Counted = Summary & {
  failed: number
  again: number
  seconds: number
  /** Within these seconds, whenever they were sent: so many a second is what was borne. */
  answered: number
}
export type LoadSeen = {
  phases: Partial<Record<Phase, Counted>>
  failures: Failure[]
  /** How often something that was due waited for a client to read the store. */
  keyWaits: number
  streams: { whole: number; cuts: Cut[] }
}
export type LoadCounts = { due: number; answered: number; failed: number; again: number }
export type LoadCalls = {
  start: (options: LoadOptions) => Promise<void>
  phase: (phase: Phase) => Promise<LoadCounts>
  counts: (argument: undefined) => Promise<LoadCounts>
  finish: (argument: undefined) => Promise<LoadSeen>
}

const CONNECTIONS_MAX = 1_000
const GIVE_UP_MS = 15_000
const FAILURES_KEPT = 20

class Phases {
  #now: Phase = 'warm-up'
  #since = performance.now()
  #answeredBefore = 0
  readonly #seen = new Map<
    Phase,
    { series: Series; failed: number; again: number; ms: number; answered: number }
  >()

  get now(): Phase {
    return this.#now
  }
  of(phase: Phase) {
    const known = this.#seen.get(phase) ?? { series: new Series(), failed: 0, again: 0, ms: 0, answered: 0 }
    this.#seen.set(phase, known)
    return known
  }
  enter(phase: Phase, answered: number): void {
    const at = performance.now()
    const of = this.of(this.#now)
    of.ms += at - this.#since
    of.answered += answered - this.#answeredBefore
    this.#answeredBefore = answered
    this.#now = phase
    this.#since = at
  }
  counted(): Partial<Record<Phase, Counted>> {
    const all = [...this.#seen].map(([phase, { series, failed, again, ms, answered }]) => [
      phase,
      { ...series.summary(), failed, again, seconds: ms / 1_000, answered },
    ])
    return Object.fromEntries(all)
  }
}

let options: LoadOptions
let keys: KeptKey[] = []
let streams: ReturnType<typeof startStreams>
const phases = new Phases()
const counts: LoadCounts = { due: 0, answered: 0, failed: 0, again: 0 }
const failures: Failure[] = []
const all = new Set<Connection>()
/** The one that was used last comes first, so that few are busy and the others rest. */
const idle: Connection[] = []
const queued: (() => void)[] = []
let isOver = false
let startedAt = 0

function onConnection(work: (connection: Connection) => void): void {
  let free = idle.pop()
  while (free && !free.isOpen) free = idle.pop()
  if (free) {
    work(free)
    return
  }
  if (all.size >= CONNECTIONS_MAX) {
    queued.push(() => onConnection(work))
    return
  }
  const made = new Connection(options.port, (closed) => all.delete(closed))
  all.add(made)
  work(made)
}

function send(number: number, dueAt: number): void {
  const phase = phases.now
  keys[number % keys.length]?.use(({ value, generation }) =>
    onConnection((connection) => {
      const request = `GET /echo/${number} HTTP/1.1\r\nhost: front\r\nauthorization: Bearer ${value}\r\nidempotency-key: ${number}\r\n\r\n`
      connection.ask(request, (answer) => {
        settle(answer, { number, dueAt, phase, generation })
        if ('broken' in answer) connection.close()
        else idle.push(connection)
        queued.shift()?.()
      })
    }),
  )
}

type Sent = { number: number; dueAt: number; phase: Phase; generation: number }

function settle(answer: Answer, { number, dueAt, phase, generation }: Sent): void {
  const of = phases.of(phase)
  of.series.add(performance.now() - dueAt)
  counts.answered += 1
  if (!('broken' in answer) && answer.status === 200 && answer.body === String(number)) {
    if (answer.tries === '0') return
    of.again += 1
    counts.again += 1
    return
  }
  of.failed += 1
  counts.failed += 1
  const seen =
    'broken' in answer ? answer.broken : `${answer.status} ${answer.gateway} ${answer.body.slice(0, 80)}`
  if (failures.length < FAILURES_KEPT) failures.push({ atMs: nowMs(), phase, seen, generation })
}

/** What is due is sent; its time counts from when it was due, not from when this process came to it. */
function tick(): void {
  if (isOver) return
  const due = Math.floor(((performance.now() - startedAt) * options.rate) / 1_000)
  for (; counts.due < due; counts.due++) send(counts.due, startedAt + (counts.due * 1_000) / options.rate)
  setTimeout(tick, 1)
}

function sweep(): void {
  const tooLong = performance.now() - GIVE_UP_MS
  for (const connection of all) if ((connection.waitingSince ?? tooLong) < tooLong) connection.close()
}

serve({
  async start(asked) {
    options = asked
    const { addr, roleId, secretIdFile, path } = asked.vault
    const vault = connectVault({ addr, roleId, secretIdFile })
    const store = vaultKvStore(vault, { mount: 'secret', path })
    const read = async (): Promise<Key | undefined> => {
      const found = await store.readCurrent({ key: 'reader', signal: AbortSignal.timeout(2_000) })
      return found && { value: found.value.reveal(), generation: found.generation }
    }
    keys = Array.from({ length: asked.clients }, () => new KeptKey(read, asked.cacheMs, asked.refreshMs))
    for (const [at, key] of keys.entries())
      setTimeout(() => void key.keep(), (at * asked.refreshMs) / keys.length)
    await Promise.all(keys.map((key) => new Promise<void>((ready) => key.use(() => ready()))))
    streams = startStreams({ port: asked.port, count: asked.streams, ms: asked.streamMs, keys })
    setInterval(sweep, 1_000)
    startedAt = performance.now()
    tick()
  },
  async phase(phase) {
    phases.enter(phase, counts.answered)
    return { ...counts }
  },
  async counts() {
    return { ...counts }
  },
  async finish() {
    isOver = true
    phases.enter('warm-up', counts.answered)
    for (let waited = 0; counts.answered < counts.due && waited < 2 * GIVE_UP_MS; waited += 50)
      await delay(50)
    const unanswered = counts.due - counts.answered
    if (unanswered > 0) phases.of('between').failed += unanswered
    const seen = await streams.stop()
    for (const key of keys) key.stop()
    const keyWaits = keys.reduce((sum, { waits }) => sum + waits, 0)
    return { phases: phases.counted(), failures, keyWaits, streams: seen }
  },
} satisfies LoadCalls)
