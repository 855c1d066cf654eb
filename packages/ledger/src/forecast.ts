import type { Mode, Rotation } from '@rekey/core'
import type { Database } from './database.ts'

/** What an order is expected to take, as measured before. */
export type Forecast = {
  order: Mode
  /** From the order until the value was proved dead, milliseconds; null: not done lately. */
  deadAfterMs: Spread | null
  /** How many were measured, of this credential or, where it has none, of all. */
  measured: number
  of: 'this credential' | 'all credentials'
  /** `contain` alone: for how long the value was refused before its successor was in every store. */
  outageMs: Spread | null
}

type Spread = { middle: number; longest: number }

const MODES: readonly Mode[] = ['rotate', 'expedite', 'contain']

/** As many as say something of how it goes today. */
const LAST = 20

/** Forecasts of one question: what was measured of all credentials is read once. */
export class Forecasts {
  readonly #db: Database
  readonly #measured = new Map<string, Promise<Measured[]>>()

  constructor(db: Database) {
    this.#db = db
  }

  async of(credential: string): Promise<Forecast[]> {
    const found: Forecast[] = []
    for (const order of MODES) {
      const own = await this.#of(order, credential)
      const counted = own.length > 0 ? own : await this.#of(order, undefined)
      found.push({
        order,
        deadAfterMs: spread(counted.map((m) => m.deadMs)),
        measured: counted.length,
        of: own.length > 0 ? 'this credential' : 'all credentials',
        outageMs: order === 'contain' ? spread(counted.flatMap((m) => m.outageMs ?? [])) : null,
      })
    }
    return found
  }

  #of(mode: Mode, credential: string | undefined): Promise<Measured[]> {
    const key = `${mode} ${credential ?? ''}`
    const known = this.#measured.get(key) ?? measured(this.#db, mode, credential)
    this.#measured.set(key, known)
    return known
  }
}

type Measured = { deadMs: number; outageMs: number | null }
type Entry = { type: string; generation: number | null; at: Date }

/** The last replacements that ended well in this mode. What a human held measures the human, and is left out. */
async function measured(db: Database, mode: Mode, credential: string | undefined): Promise<Measured[]> {
  const { rows } = await db.pool.query(
    `select r.state, r.opened_at as "openedAt", (
       select json_agg(json_build_object('type', j.type, 'generation', (j.data ->> 'generation')::int, 'at', j.at) order by j.seq)
       from journal j where j.stream = 'rotation/' || r.id
         and j.type in ('ModeRaised', 'GenerationsCompromised', 'RevocationStarted', 'ConfirmingStarted', 'GenerationDead')) as entries
     from rotation r
     where r.closed_at is not null and r.state ->> 'outcome' = 'closed' and r.state ->> 'mode' = $1
       and coalesce(r.state ->> 'goal', 'replace') = 'replace' and r.state ->> 'base' is not null
       ${credential === undefined ? '' : 'and r.credential = $3'}
       and not exists (select from journal j where j.stream = 'rotation/' || r.id and j.type = 'HoldPlaced'
                         and j.data -> 'hold' ->> 'reason' = 'human')
     order by r.opened_at desc limit $2`,
    credential === undefined ? [mode, LAST] : [mode, LAST, credential],
  )
  return rows.flatMap(({ state, openedAt, entries }) =>
    measure(
      state,
      openedAt,
      (entries ?? []).map((e: Entry & { at: string }) => ({ ...e, at: new Date(e.at) })),
    ),
  )
}

/** Of what leaked, from when that was said; in a routine one of the base, from its opening. */
function measure(
  { base, mode, compromised = [] }: Pick<Rotation, 'base' | 'mode'> & { compromised?: number[] },
  openedAt: Date,
  entries: Entry[],
): Measured[] {
  const dying = mode === 'rotate' ? base : (compromised[0] ?? base)
  const first = (type: string) => entries.find((e) => e.type === type && e.generation === dying)?.at
  const dead = first('GenerationDead')
  if (!dead) return []
  const orders = entries.filter((e) => e.type === 'ModeRaised' || e.type === 'GenerationsCompromised')
  const ordered = orders.filter((e) => e.at <= dead).at(-1)?.at ?? openedAt
  const revoked = first('RevocationStarted')
  const next = revoked && entries.find((e) => e.type === 'ConfirmingStarted' && e.at > revoked)?.at
  return [
    {
      deadMs: dead.getTime() - ordered.getTime(),
      outageMs: revoked && next ? next.getTime() - revoked.getTime() : null,
    },
  ]
}

function spread(times: number[]): Spread | null {
  const sorted = times.toSorted((a, b) => a - b)
  const longest = sorted.at(-1)
  const middle = sorted[Math.floor((sorted.length - 1) / 2)]
  return longest === undefined || middle === undefined ? null : { middle, longest }
}
