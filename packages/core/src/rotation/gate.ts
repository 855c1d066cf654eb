import type { Facts, Member } from './inputs.ts'
import type { Retirement, Rotation } from './state.ts'

/** Something that a revocation still waits for. */
export type Unmet = { reason: string; message: string }

/**
 * May the retirement's generation be revoked now? In mode `rotate`: the successor is live (or, after a rollback, the
 * base is confirmed), every expected node proved its last desired state, nobody uses the old one, and the audit
 * topic has the intent. Judged under the rotation's lock, in the transaction that authorises the revocation.
 */
export function gate(rotation: Rotation, retirement: Retirement, facts: Facts): Unmet[] {
  const unmet = [...unproved(rotation, retirement, facts), ...undrained(rotation, retirement, facts)]
  // Nobody to ask is not everybody in agreement: the old value may be accepted by nodes that were declared gone.
  if (facts.members.length === 0)
    unmet.push({ reason: 'nobody', message: 'there is no node that could refuse it' })
  if (!retirement.acknowledged)
    unmet.push({ reason: 'audit', message: 'the audit topic has not acknowledged the intent' })
  return unmet
}

/** Nodes that have not proved that they accept what stays (`control`), at the present plan. */
function unproved(rotation: Rotation, retirement: Retirement, facts: Facts): Unmet[] {
  const { control } = retirement
  if (control === null) return []
  return facts.members
    .filter(
      (m) => !m.excused && !(m.provedRevision >= rotation.confirmRevision && m.accepts.includes(control)),
    )
    .map((m) => ({ reason: 'unproved', message: `${m.node} has not proved generation ${control}` }))
}

/** Evidence that a generation is still used, or that nothing can be said about it. Empty: it is drained. */
export function undrained(rotation: Rotation, retirement: Retirement, facts: Facts): Unmet[] {
  const { quietMs, readerCacheMs, evidenceMs } = rotation.plan
  const unmet: Unmet[] = []
  // A value that no store ever showed as current is in no reader's cache.
  const shown = retirement.because === 'replaced' || retirement.restore.length > 0
  const soonest = retirement.since + Math.max(quietMs, shown ? readerCacheMs : 0)
  if (facts.now < soonest)
    unmet.push({ reason: 'window', message: `readers may hold it for ${soonest - facts.now} ms more` })
  for (const member of facts.members) {
    if (member.excused) continue
    const message = inUse(member, retirement.generation, facts.now, quietMs, evidenceMs)
    if (message) unmet.push({ reason: 'undrained', message: `${member.node} ${message}` })
  }
  return unmet
}

function inUse(member: Member, generation: number, now: number, quietMs: number, evidenceMs: number) {
  if (member.reportedAt === null) return 'has never reported counters'
  if (member.reportedAt < now - evidenceMs)
    return `has reported no counters for ${now - member.reportedAt} ms`
  const usage = member.usage.find((u) => u.generation === generation)
  if (!usage) return undefined
  if (usage.inFlight > 0) return `has ${usage.inFlight} requests in flight`
  if (usage.lastUsedAt !== null && usage.lastUsedAt > now - quietMs)
    return `used it ${now - usage.lastUsedAt} ms ago`
  return undefined
}
