import { CredentialSpec, RekeyError, type SeenStore } from '@rekey/contracts'
import type { Database, Queryable } from '../database.ts'
import { append } from '../journal.ts'
import { heldSql } from '../recovery/held.ts'
import { type CredentialRow, lockCredential } from '../submit.ts'
import type { DriftEntry } from './entries.ts'
import { closeFinding, type Finding, openFinding, recordDrift } from './finding.ts'
import { type DriftedStore, judgeStore, type StoreVerdict } from './judge.ts'

/** A credential whose stores are to be looked at. `governed`: the version of each store that Rekey wrote last. */
export type ToLook = {
  credential: string
  attempt: number
  /** Which asking it answers. */
  asked: number
  spec: CredentialSpec
  generation: number
  governed: Record<string, string>
}

/** What could not be told is looked at again no later than after this. */
const AGAIN_MS = 300_000
/** A look that a rotation overtook is worth nothing, and is made anew. */
const OVERTAKEN_MS = 10_000

/** So much of the time between two looks is left to chance. */
const SPREAD = 0.1

/** What is under way moves the stores itself, and what is held waits for a human's look. */
const AT_REST = `c.open_rotation is null and c.retired_at is null and c.current_generation is not null
  and not ${heldSql('c.name')}`

/** Something was found, and is not settled. */
const IS_OPEN = 'exists (select from drift d where d.credential = l.credential and d.settled_at is null)'

/** Where the versions are kept that Rekey wrote last of the generation in use. */
const GOVERNED = `(select g.store_versions from generation g
  where g.credential = c.name and g.generation = c.current_generation)`

/**
 * Gives every credential that has none a time for its first look, drawn at random, so that they are apart; and an earlier one
 * to those that were to be looked at less often.
 */
export async function planLooks(db: Database, everyMs: number): Promise<void> {
  await db.pool.query(
    `update drift_look set due = clock_timestamp() + random() * $1 * interval '1 millisecond'
     where due > clock_timestamp() + $1 * ${1 + SPREAD} * interval '1 millisecond'`,
    [everyMs],
  )
  await db.pool.query(
    `insert into drift_look (credential, due)
     select c.name, clock_timestamp() + random() * $1 * interval '1 millisecond' from credential c
     where c.retired_at is null and not exists (select from drift_look l where l.credential = c.name)
     on conflict do nothing`,
    [everyMs],
  )
}

/** Takes credentials at rest whose time has come, for `leaseMs`; `onlyAsked`: where somebody asked, or has a drift settled. */
export async function takeLooks(
  db: Database,
  { onlyAsked, limit, leaseMs }: { onlyAsked: boolean; limit: number; leaseMs: number },
): Promise<ToLook[]> {
  const { rows } = await db.pool.query(
    `with due as (
       select l.credential from drift_look l join credential c on c.name = l.credential
       where l.due <= clock_timestamp() and (l.asked > l.answered or not $1 or ${IS_OPEN})
         and (l.lease_until is null or l.lease_until <= clock_timestamp())
         and ${AT_REST}
       order by l.asked > l.answered desc, l.due, l.credential limit $2 for update of l skip locked
     )
     update drift_look l set attempt = attempt + 1, lease_until = clock_timestamp() + $3 * interval '1 millisecond'
     from due join credential c on c.name = due.credential where l.credential = due.credential
     returning l.credential, l.attempt, l.asked, c.spec, c.current_generation as generation, ${GOVERNED} as governed`,
    [onlyAsked, limit, leaseMs],
  )
  return rows.flatMap((row) => {
    // What cannot be read by this release must not stop the others.
    const spec = CredentialSpec.safeParse(row.spec)
    return spec.success ? [{ ...row, spec: spec.data }] : []
  })
}

/**
 * Judges what was seen, and opens, changes or closes the finding. A look that a rotation overtook decides nothing, and neither
 * does what could not be read: what was found in that store before stays found.
 */
export async function recordLook(
  db: Database,
  taken: ToLook,
  seen: SeenStore[],
  everyMs: number,
  actor: string,
): Promise<void> {
  await db.transaction(async (tx) => {
    const row = await lockCredential(tx, taken.credential)
    const { rowCount } = await tx.query(
      'update drift_look set lease_until = null where credential = $1 and attempt = $2',
      [taken.credential, taken.attempt],
    )
    if (rowCount === 0) return
    if (await isOvertaken(tx, row, taken)) {
      await tx.query(
        `update drift_look set due = clock_timestamp() + $2 * interval '1 millisecond' where credential = $1`,
        [taken.credential, OVERTAKEN_MS],
      )
      return
    }
    const verdicts = await judge(tx, taken, seen)
    const isWhole = verdicts.every(({ state }) => state !== 'unknown')
    const waitMs = everyMs * (1 - SPREAD + 2 * SPREAD * Math.random())
    await tx.query(
      `update drift_look set looked_at = clock_timestamp(), answered = greatest(answered, $2), stores = $3,
              due = case when asked > $2 then clock_timestamp()
                         else clock_timestamp() + $4 * interval '1 millisecond' end
       where credential = $1`,
      [
        taken.credential,
        taken.asked,
        JSON.stringify(verdicts),
        isWhole && everyMs > 0 ? waitMs : Math.min(waitMs || AGAIN_MS, AGAIN_MS),
      ],
    )
    const known = await openFinding(tx, taken.credential)
    const entries = await entriesOf(tx, taken, known, verdicts)
    await append(tx, `credential/${taken.credential}`, actor, entries)
  })
}

async function isOvertaken(
  tx: Queryable,
  { open_rotation, retired_at, current_generation }: CredentialRow,
  { credential, generation, governed }: ToLook,
): Promise<boolean> {
  if (open_rotation !== null || retired_at !== null || current_generation !== generation) return true
  const { rows } = await tx.query(
    `select ${GOVERNED} is distinct from $2::jsonb or ${heldSql('c.name')} as overtaken
     from credential c where c.name = $1`,
    [credential, JSON.stringify(governed)],
  )
  return rows[0].overtaken
}

async function judge(tx: Queryable, taken: ToLook, seen: SeenStore[]): Promise<StoreVerdict[]> {
  const { credential, generation, governed } = taken
  const { rows } = await tx.query(
    'select fingerprint from generation where credential = $1 and generation = $2',
    [credential, generation],
  )
  const verdicts: StoreVerdict[] = []
  for (const one of seen) {
    const storeVersion = governed[one.store]
    if (storeVersion === undefined) continue
    const fingerprint = 'fingerprint' in one ? one.fingerprint : null
    const shows = fingerprint === null ? null : await generationOf(tx, fingerprint, taken)
    const wrote = { generation, storeVersion, fingerprint: rows[0].fingerprint }
    verdicts.push(judgeStore(one, wrote, shows))
  }
  return verdicts
}

/**
 * Which generation of the credential has this value, the one in use before others. Not whose else it is: who may write to one
 * store could learn from that whether a guess is anybody's key.
 */
async function generationOf(
  tx: Queryable,
  fingerprint: string,
  { credential, generation }: ToLook,
): Promise<number | null> {
  const { rows } = await tx.query(
    `select generation from generation where fingerprint = $1 and credential = $2
     order by generation = $3 desc, generation desc limit 1`,
    [fingerprint, credential, generation],
  )
  return rows[0]?.generation ?? null
}

async function entriesOf(
  tx: Queryable,
  { credential, generation }: ToLook,
  known: Finding | undefined,
  verdicts: StoreVerdict[],
): Promise<DriftEntry[]> {
  const stores = verdicts.flatMap((verdict): DriftedStore[] => {
    if (verdict.state === 'unknown') return known?.stores.filter(({ store }) => store === verdict.store) ?? []
    if (verdict.state !== 'drifted') return []
    const { state: _, ...drifted } = verdict
    return [drifted]
  })
  if (stores.length > 0) return recordDrift(tx, { name: credential, generation }, known, stores)
  if (!known) return []
  const isSame = known.generation === generation
  const rotation = isSame ? null : await whichMade(tx, credential, generation)
  const how = isSame ? 'restored' : 'rotated'
  return [await closeFinding(tx, { id: known.id, credential }, { how, generation, rotation })]
}

async function whichMade(tx: Queryable, credential: string, generation: number): Promise<string | null> {
  const { rows } = await tx.query(
    "select id from rotation where credential = $1 and state -> 'successor' ->> 'generation' = $2::text",
    [credential, generation],
  )
  return rows[0]?.id ?? null
}

/** What ended has no value for anybody to change. */
export async function closeOffboarded(db: Database, actor: string): Promise<void> {
  const { rows } = await db.pool.query(
    `select d.credential from drift d join credential c on c.name = d.credential
     where d.settled_at is null and c.retired_at is not null`,
    [],
  )
  for (const { credential } of rows)
    await db.transaction(async (tx) => {
      const { retired_at } = await lockCredential(tx, credential)
      const known = await openFinding(tx, credential)
      if (!known || retired_at === null) return
      const ended = { how: 'offboarded', generation: null, rotation: null } as const
      await append(tx, `credential/${credential}`, actor, [
        await closeFinding(tx, { id: known.id, credential }, ended),
      ])
    })
}

/** Asks for a look at a credential's stores. Returns the number of the asking. */
export async function askLook(db: Database, credential: string): Promise<number> {
  return db.transaction(async (tx) => {
    const { open_rotation, retired_at, current_generation } = await lockCredential(tx, credential)
    const refuse = (why: string) => new RekeyError('not_allowed_now', `${credential}: ${why}`)
    if (retired_at !== null) throw refuse('it was offboarded')
    if (open_rotation !== null)
      throw refuse(`${open_rotation} is under way, and moves the stores itself; look when it has ended`)
    if (current_generation === null) throw refuse('it has no value in use')
    const { rows } = await tx.query(
      `insert into drift_look (credential, due, asked) values ($1, clock_timestamp(), 1)
       on conflict (credential) do update set asked = drift_look.asked + 1, due = clock_timestamp() returning asked`,
      [credential],
    )
    await tx.query("select pg_notify('rekey_effects', 'routine')")
    return rows[0].asked
  })
}
