import { CredentialSpec, RekeyError } from '@rekey/contracts'
import {
  type Asked,
  type Cause,
  type Desired,
  desired,
  type Found,
  type FoundGeneration,
  openFound,
  type Settlement,
  settleFound,
} from '@rekey/core'
import type { Database, Queryable } from '../database.ts'
import { readFacts } from '../facts.ts'
import { append } from '../journal.ts'
import {
  awaitsAdoption,
  type CredentialRow,
  lockCredential,
  planOf,
  startIn,
  storeOpened,
} from '../submit.ts'
import { GENERATIONS } from './held.ts'

export type Release = {
  actor: string
  /** What a human says is current, where the stores do not say it. */
  generation?: number
  /** It was offboarded after the backup: there is nothing to release but its name. */
  ended?: true
}

export type Released = { credential: string; generation: number | null; rotation: string | null }

type Item = {
  recovery: string
  believed: number | null
  found: Found | null
  inspected_at: Date | null
  error: string | null
  waiting: Cause[]
}

/** A human has looked: the ledger takes over what was found, and what was under way outside goes on by the rules. */
export async function release(db: Database, credential: string, asked: Release): Promise<Released> {
  return db.transaction(async (tx) => {
    const row = await lockCredential(tx, credential)
    const { rows } = await tx.query(
      'select * from recovery_item where credential = $1 and released_at is null for update',
      [credential],
    )
    const item: Item | undefined = rows[0]
    if (!item) throw new RekeyError('not_allowed_now', `${credential} is not held`)
    const refuse = (why: string) => new RekeyError('not_allowed_now', `cannot release ${credential}: ${why}`)
    if (!item.found || !item.inspected_at)
      throw refuse(`its stores were not looked at so far${item.error ? ` (${item.error})` : ''}`)
    const settled = asked.ended ? end(item.found) : settleFound(item.found, item.believed, asked.generation)
    if ('refusal' in settled) throw refuse(settled.refusal)
    await takeOver(tx, row, item.found, settled)
    await tx.query(
      'update recovery_item set released_at = now(), released_by = $2 where credential = $1 and released_at is null',
      [credential, asked.actor],
    )
    const rotation = await goOn(tx, credential, settled, item, asked)
    await tx.query('update recovery_item set rotation = $3 where recovery = $1 and credential = $2', [
      item.recovery,
      credential,
      rotation,
    ])
    const { rows: left } = await tx.query(
      'select count(*)::int as n from recovery_item where released_at is null',
    )
    const generation = settled.current?.generation ?? null
    await append(tx, 'recovery', asked.actor, [
      {
        type: 'CredentialReleased',
        recovery: item.recovery,
        credential,
        generation,
        rotation,
        chosen: asked.generation !== undefined || asked.ended === true,
        left: left[0].n,
      },
    ])
    await tx.query("select pg_notify('rekey_effects', '')")
    return { credential, generation, rotation }
  })
}

function end(found: Found): Settlement | { refusal: string } {
  const alive = found.generations.map((g) => g.generation)
  if (alive.length > 0) return { refusal: `it has not ended: its stores hold ${alive.join(', ')}` }
  return { current: null, shownBy: new Map(), others: [] }
}

/** The inventory as the world is. What no store holds any more died after the backup. */
async function takeOver(
  tx: Queryable,
  row: CredentialRow,
  { stores, generations }: Found,
  { current, shownBy }: Settlement,
): Promise<void> {
  for (const found of generations) await writeGeneration(tx, row.name, found, current, shownBy)
  const alive = generations.map((g) => g.generation)
  // What a promotion expects to replace, whichever generation that is.
  const shown = Object.fromEntries(
    stores.flatMap((s) => (s.storeVersion === null ? [] : [[s.store, s.storeVersion]])),
  )
  await tx.query(
    `update generation set label = null, validity = 'destroyed', ended_at = coalesce(ended_at, now())
     where credential = $1 and generation <> all($2) and validity <> 'destroyed'`,
    [row.name, alive],
  )
  await tx.query(
    `update credential set current_generation = $2, shown = $3, moved_at = now(),
            last_generation = case when last_generation < $4 then $4 + $5 else last_generation end
     where name = $1`,
    [
      row.name,
      current?.generation ?? null,
      JSON.stringify(shown),
      // A second restore may find what was made after the first one.
      Math.max(0, ...alive.map((g) => g + GENERATIONS / 2)),
      GENERATIONS / 2,
    ],
  )
}

async function writeGeneration(
  tx: Queryable,
  credential: string,
  { generation, keyId, proofKey, tried }: FoundGeneration,
  current: FoundGeneration | null,
  shownBy: Map<string, string>,
): Promise<void> {
  const isCurrent = generation === current?.generation
  const validity = isCurrent || tried === 'accepted' ? 'active' : 'revoked'
  await tx.query(
    `insert into generation (credential, generation, label, validity, key_id, proof_key, store_versions)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (credential, generation) do update set label = excluded.label, validity = excluded.validity,
       key_id = excluded.key_id, proof_key = excluded.proof_key, ended_at = null,
       store_versions = generation.store_versions || excluded.store_versions`,
    [
      credential,
      generation,
      isCurrent ? 'current' : 'previous',
      validity,
      keyId,
      proofKey,
      JSON.stringify(isCurrent ? Object.fromEntries(shownBy) : {}),
    ],
  )
}

/** What follows at once: the rotation that was under way, the first value, or what was kept meanwhile. */
async function goOn(
  tx: Queryable,
  credential: string,
  { current, shownBy, others }: Settlement,
  item: Item,
  { actor, ended }: Release,
): Promise<string | null> {
  const row = await lockCredential(tx, credential)
  const stores = CredentialSpec.parse(row.spec).stores.length
  const isUnderWay = others.length > 0 || shownBy.size < stores
  if (current && isUnderWay) return goOnWithFound(tx, row, { current, shownBy, others }, item, actor)
  await tellPlacements(tx, row, desired(undefined, row.current_generation))
  if (ended) {
    await tx.query('update credential set retired_at = coalesce(retired_at, now()) where name = $1', [
      credential,
    ])
    return null
  }
  if (row.retired_at !== null) return null
  // What the stores hold is somebody else's still: nothing is made.
  if (!current && (await awaitsAdoption(tx, row))) return null
  const causes: Cause[] = current
    ? item.waiting
    : [{ kind: 'first-value', actor: 'rekey', reason: 'no store holds a value of it' }]
  const [first] = causes
  if (!first) return null
  const reason = causes.length > 1 ? `${first.reason} (and ${causes.length - 1} later causes)` : first.reason
  const asked: Asked = { cause: { ...first, reason }, mode: 'rotate', goal: 'replace', compromised: [] }
  return (await startIn(tx, credential, asked)).rotation
}

async function goOnWithFound(
  tx: Queryable,
  row: CredentialRow,
  found: Settlement & { current: FoundGeneration },
  { recovery, waiting }: Item,
  actor: string,
): Promise<string> {
  const spec = CredentialSpec.parse(row.spec)
  // Nodes of later waves must not be told what the restored ledger believed.
  const revision = await tellPlacements(tx, row, held(found))
  // With the recovery in its name: the lost ledger had a rotation of this generation.
  const id = `${row.name}-g${found.current.generation}-${recovery}`
  const reason = 'found under way after the ledger was restored'
  const decision = openFound(
    {
      id,
      credential: row.name,
      plan: planOf(spec),
      cause: { kind: 'order', actor, reason },
      revision,
      movedAt: row.moved_at?.getTime() ?? null,
      found,
      later: waiting,
    },
    await readFacts(tx, row),
  )
  await storeOpened(tx, row.name, spec, decision, actor)
  return id
}

/** What nodes hold already, less what dies. */
function held({ current, others }: Settlement & { current: FoundGeneration }): Desired {
  const accepted = others.filter((g) => g.tried === 'accepted')
  const accept = [current, ...accepted].map((g) => g.generation).sort((a, b) => a - b)
  const refuse = others.filter((g) => g.tried === 'refused').map((g) => g.generation)
  return { accept, refuse, floor: Math.min(...accept) }
}

/** Every node proves it at a revision that it has never seen. */
async function tellPlacements(
  tx: Queryable,
  row: CredentialRow,
  { accept, refuse, floor }: Desired,
): Promise<number> {
  const revision = row.revision + 1
  await tx.query('update credential set revision = $2 where name = $1', [row.name, revision])
  await tx.query(
    'update placement set revision = $2, accept = $3, refuse = $4, floor = $5, nack = null where credential = $1',
    [row.name, revision, accept, refuse, floor],
  )
  return revision
}
