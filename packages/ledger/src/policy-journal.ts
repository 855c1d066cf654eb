import type { Database } from './database.ts'
import { append } from './journal.ts'

const STREAM = 'policy'

/** Requests that policies refused. Null: several, of several, which were not written down one by one. */
export type DeniedRequest = {
  actor: string
  principal: { type: string; id: string } | null
  action: string | null
  resource: { type: string; id: string } | null
  /** Ids of the policies that decided; none: no policy permits it. */
  policies: string[]
  errors: string[]
  digest: string
  /** How many requests this entry stands for. */
  times: number
}

/** Only additions: who calls this bounds how many there are. */
export async function recordDenials(db: Database, denials: DeniedRequest[]): Promise<void> {
  await db.transaction(async (tx) => {
    for (const { actor, ...denied } of denials)
      await append(tx, STREAM, actor, [{ type: 'RequestDenied', ...denied }])
  })
}

/** Which policies decide from now on. Those that decided last are not written again. */
export async function recordPolicies(
  db: Database,
  loaded: { actor: string; digest: string; policies: string[] },
): Promise<void> {
  const { actor, ...entry } = loaded
  await db.transaction(async (tx) => {
    const { rows } = await tx.query(
      "select data ->> 'digest' as digest from journal where stream = $1 and type = 'PoliciesLoaded' order by seq desc limit 1",
      [STREAM],
    )
    if (rows[0]?.digest !== entry.digest)
      await append(tx, STREAM, actor, [{ type: 'PoliciesLoaded', ...entry }])
  })
}
