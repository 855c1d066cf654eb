import type { Facts, Member } from './inputs.ts'
import type { Plan, Retirement, Rotation } from './state.ts'

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
  // What no store ever showed is in no client's hands, so there is no use to look for.
  if (retirement.because === 'abandoned' && retirement.restore.length === 0) return []
  const { quietMs, readerCacheMs } = rotation.plan
  const unmet: Unmet[] = []
  const soonest = retirement.since + Math.max(quietMs, readerCacheMs)
  if (facts.now < soonest)
    unmet.push({ reason: 'window', message: `readers may hold it for ${soonest - facts.now} ms more` })
  for (const member of facts.members) {
    if (member.excused) continue
    const message = inUse(member, retirement.generation, soonest, facts.now, rotation.plan)
    if (message) unmet.push({ reason: 'undrained', message: `${member.node} ${message}` })
  }
  return unmet
}

/** What speaks against "unused". Judged at the node's last report: of the time after it nothing is known. */
function inUse(
  { reportedAt, usage }: Member,
  generation: number,
  soonest: number,
  now: number,
  { quietMs, evidenceMs }: Plan,
): string | undefined {
  if (reportedAt === null) return 'has never reported counters'
  if (reportedAt < now - evidenceMs) return `has reported no counters for ${now - reportedAt} ms`
  if (reportedAt < soonest) return 'has not reported since the window ended'
  const used = usage.find((u) => u.generation === generation)
  if (!used) return undefined
  if (used.inFlight > 0) return `has ${used.inFlight} requests in flight`
  if (used.lastUsedAt !== null && used.lastUsedAt > reportedAt - quietMs)
    return `used it ${reportedAt - used.lastUsedAt} ms before its last report`
  return undefined
}
