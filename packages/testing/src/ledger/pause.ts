import { RekeyError } from '@rekey/contracts'
import { append } from './journal.ts'
import { rotationOf, submit } from './submit.ts'
import type { Tables } from './tables.ts'

export type PauseOrder = { actor: string; reason: string; forMs: number }

/** No routine rotation of these credentials goes on for a while. Without a name: all credentials. */
export function pause(
  tables: Tables,
  credential: string | undefined,
  { actor, reason, forMs }: PauseOrder,
): { credentials: string[]; until: string } {
  return tables.transaction(() => {
    const credentials = named(tables, credential)
    const until = tables.clock() + forMs
    for (const name of credentials) {
      const openRotation = setPaused(tables, name, { until, by: actor, reason })
      if (openRotation !== null)
        submit(tables, openRotation, { type: 'HoldAsked', actor, reason, until }, actor)
    }
    const said = { credentials, until: new Date(until).toISOString() }
    append(tables, 'pause', actor, [{ type: 'Paused', ...said, reason }])
    return said
  })
}

/** Before the time is over. What a human holds without an end stays held. */
export function endPause(
  tables: Tables,
  credential: string | undefined,
  { actor, reason }: Omit<PauseOrder, 'forMs'>,
): { credentials: string[] } {
  return tables.transaction(() => {
    const credentials = named(tables, credential)
    for (const name of credentials) {
      const openRotation = setPaused(tables, name, null)
      if (openRotation === null) continue
      const { holds } = rotationOf(tables, openRotation)
      if (holds.some((hold) => hold.reason === 'human' && hold.until !== undefined))
        submit(tables, openRotation, { type: 'ResumeAsked', actor, reason }, actor)
    }
    append(tables, 'pause', actor, [{ type: 'PauseEnded', credentials, reason }])
    return { credentials }
  })
}

/** Returns the rotation that is open. */
function setPaused(
  tables: Tables,
  name: string,
  paused: { until: number; by: string; reason: string } | null,
): string | null {
  const row = tables.credentials.get(name)
  if (!row) return null
  tables.credentials.put(name, { ...row, paused })
  return row.openRotation
}

function named(tables: Tables, credential: string | undefined): string[] {
  const found = [...tables.credentials.all()]
    .filter((row) => !row.isRetired && (credential === undefined || row.name === credential))
    .map((row) => row.name)
    .sort()
  if (found.length === 0 && credential !== undefined)
    throw new RekeyError('not_found', `there is no credential named ${credential} that is in use`)
  return found
}
