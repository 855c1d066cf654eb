import type { ListedVersion, Secret } from '@rekey/contracts'
import type { Journey } from './journeys.ts'
import type { Ongoing } from './ongoing.ts'

/** All that a journey leaves behind, in words that are the same for every generation. */
export type Outcome = {
  outcome: string | null
  exceptions: string[]
  hold: unknown
  /** What happened, by kind, as often as it did; without what depends on when somebody died. */
  events: string[]
  /** What clients get now. */
  current: { vault: string; aws: string; same: boolean }
  /** What the stores hold. An act done twice in effect shows in the number of versions that were written. */
  held: { vault: string[]; aws: string[]; versionsWritten: number }
  /** The old and the new one, and older ones that should be gone. */
  generations: string[]
  /** What the gateways answer: to the current value, and how many of them still take a dead one. */
  knock: { current: number[]; deadAccepted: number }
  nodes: string[]
  /** Work that nobody will finish. */
  left: { effects: number; rotations: number; unaudited: number; unsettled: number }
  /** Requests that failed, and streams that were cut. */
  clients: { failed: number; cut: number }
  /** Processes that ended, and how often. */
  ended: Record<string, number>
}

/** As many of the dead are tried after each journey; the whole graveyard is tried at the end. */
const RECENT = 5

/** What a containment left in a store, in this journey or an earlier one: a version without a value. */
const WITHDRAWN = /^foreign( previous)?$/

/** How things were when the journey began. */
export type Before = { vaultVersion: number; failed: number; cut: number; restarts: Record<string, number> }

type Entry = { type: string; data: Record<string, unknown> }

/**
 * Depends on when somebody died, and not on what became of the rotation:
 *  - a hold says that something takes long; it stops nothing, and `hold` shows that none is left;
 *  - a probe that met a dead process is asked again; those that decide are compared;
 *  - an emergency does not wait for the audit topic, whose word may come after its end;
 *  - nodes that come back after the last wave and before promotion prove again, in a wave more than was planned.
 */
function isTimed({ type, data }: Entry, { waitsForAudit }: Journey, waves: number): boolean {
  if ((type === 'WaveStarted' || type === 'WaveProved') && data.purpose === 'widen')
    return Number(data.wave) >= waves
  if (type === 'HoldPlaced' || type === 'HoldLifted' || type === 'ProbeAsked') return true
  if (type === 'AuditAcknowledged') return !waitsForAudit
  return (type === 'RefusalProbed' || type === 'BaselineProbed') && data.conclusive === false
}

/** Of a node: its last proof is older than what it was told last. */
const UNPROVED = ' before'
/** Not yet back at a fleet that was started again. */
export const isAway = (node: string) => node.endsWith(UNPROVED) || node.startsWith('lost')

export async function beforehand({ bench }: Pick<Ongoing, 'bench'>): Promise<Before> {
  const { vault } = bench.world.readers
  const { failed, streamsFailed } = bench.clients.tally
  const restarts = Object.entries(bench.processes).map(([name, { restarts }]) => [name, restarts])
  return {
    vaultVersion: Number((await vault())?.storeVersion),
    failed,
    cut: streamsFailed,
    restarts: Object.fromEntries(restarts),
  }
}

export async function outcomeOf(ongoing: Ongoing, journey: Journey, before: Before): Promise<Outcome> {
  const { bench, rotation } = ongoing
  const { world, database, stores, clients, processes, dead } = bench
  const call = { key: 'crash', signal: AbortSignal.timeout(10_000) }
  const all = async (text: string) => (await database.query(text)).rows
  const one = async (text: string) => Number((await all(text))[0].n)
  const role = (generation: number | undefined) => roleOf(generation, ongoing)

  const { outcome, exceptions, hold, nodes } = await world.control.rotation(rotation)
  const { generations } = await world.control.credential(world.credential)
  const entries: Entry[] = await all(
    `select type, data from journal where stream = 'rotation/${rotation}' order by seq`,
  )
  const planned = entries.map(({ data }) => data.waves).find(Array.isArray)?.length ?? 0
  const [vault, aws] = [await world.readers.vault(), await world.readers.aws()]
  if (!vault || !aws) throw new Error(`after ${rotation} a store has no current value`)
  const listed = (versions: ListedVersion[]) =>
    unique(versions.map((v) => [role(v.generation), ...v.labels].join(' '))).filter(
      (text) => !WITHDRAWN.test(text),
    )
  return {
    outcome,
    exceptions,
    hold,
    events: entries
      .filter((entry) => !isTimed(entry, journey, planned))
      .map((entry) => nameOf(entry, ongoing))
      .sort(),
    current: {
      vault: role(vault.generation),
      aws: role(aws.generation),
      same: vault.value.equals(aws.value),
    },
    held: {
      vault: listed(await stores.vault.list(call)),
      aws: listed(await stores.aws.list(call)),
      versionsWritten: Number(vault.storeVersion) - before.vaultVersion,
    },
    generations: unique(
      generations.map((g) => `${role(g.generation)} ${g.validity} ${g.label ?? 'unlabelled'}`),
    ).filter((text) => text !== 'older destroyed unlabelled'),
    knock: {
      current: await world.knock(vault.value),
      deadAccepted: await accepted(bench, dead.slice(-RECENT)),
    },
    nodes: nodes.map(
      ({ state, revision, provedRevision, accept, proved }) =>
        `${state}, accepts ${accept.map(role)}, proved ${proved.map(role)}${provedRevision < revision ? UNPROVED : ''}`,
    ),
    left: {
      effects: await one("select count(*) as n from effect where state in ('pending', 'failed')"),
      rotations: await one('select count(*) as n from rotation where closed_at is null'),
      unaudited: await one(
        // An auditor that came back says at once that it works, and whenever it has told everything.
        "select count(*) as n from journal left join audit_out using (position) where sent_at is null and type <> 'AuditHeartbeat'",
      ),
      unsettled: await one(`select count(*) as n from journal left join audit_out using (position)
        where type = 'RevocationAnnounced' and settled_at is null`),
    },
    clients: {
      failed: clients.tally.failed - before.failed,
      cut: clients.tally.streamsFailed - before.cut,
    },
    ended: Object.fromEntries(
      Object.entries(processes).flatMap(([name, { restarts }]) => {
        const times = restarts - (before.restarts[name] ?? 0)
        return times === 0 ? [] : [[name, times]]
      }),
    ),
  }
}

function roleOf(generation: number | undefined, { generation: fresh, base }: Ongoing): string {
  if (generation === fresh) return 'new'
  return generation === base ? 'old' : generation === undefined ? 'foreign' : 'older'
}

/** An event with what it is about, such as `StorePromoted aws new`. */
function nameOf({ type, data }: Entry, ongoing: Ongoing): string {
  const { store, purpose, wave, generation } = data
  const about = [store, purpose, wave].filter((word) => word !== undefined)
  if (typeof generation === 'number') about.push(roleOf(generation, ongoing))
  return [type, ...about].join(' ')
}

/** How many gateways do not refuse one of these values. */
export async function accepted({ world }: Ongoing['bench'], values: Secret[]): Promise<number> {
  const seen = await Promise.all(values.map((value) => world.knock(value)))
  return seen.flat().filter((status) => status !== 401).length
}

function unique(texts: string[]): string[] {
  return [...new Set(texts)].sort()
}
