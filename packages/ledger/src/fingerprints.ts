import { CredentialSpec } from '@rekey/contracts'
import type { Database, Queryable } from './database.ts'

/** A generation that could not be found again if it leaked. */
export type Unfingerprinted = { credential: string; generation: number; spec: CredentialSpec }

/** Those that have a value, the newest first. What cannot be read by this release is left out: it must not stop the others. */
export async function unfingerprinted(db: Database, limit: number): Promise<Unfingerprinted[]> {
  const { rows } = await db.pool.query(
    `select g.credential, g.generation, c.spec from generation g join credential c on c.name = g.credential
     where g.fingerprint is null and g.proof_key is not null and g.validity <> 'destroyed'
     order by g.created_at desc limit $1`,
    [limit],
  )
  return rows.flatMap((row) => {
    const spec = CredentialSpec.safeParse(row.spec)
    return spec.success ? [{ ...row, spec: spec.data }] : []
  })
}

/** The first one counts: a value does not change. */
export async function recordFingerprint(
  db: Database,
  { credential, generation }: Pick<Unfingerprinted, 'credential' | 'generation'>,
  fingerprint: string,
): Promise<void> {
  await db.pool.query(
    'update generation set fingerprint = $3 where credential = $1 and generation = $2 and fingerprint is null',
    [credential, generation, fingerprint],
  )
}

/** Whose value has this fingerprint: it is kept after death, so that what is dead is known to be. */
export async function ownerOf(
  tx: Queryable,
  fingerprint: string,
): Promise<{ credential: string; generation: number } | undefined> {
  const { rows } = await tx.query(
    'select credential, generation from generation where fingerprint = $1 order by credential, generation limit 1',
    [fingerprint],
  )
  return rows[0]
}

/** Whether a value of this credential could not be found by its fingerprint, because it has none. */
export async function hasUnfingerprinted(tx: Queryable, credential: string): Promise<boolean> {
  const { rows } = await tx.query(
    'select 1 from generation where credential = $1 and fingerprint is null and proof_key is not null limit 1',
    [credential],
  )
  return rows.length > 0
}
