import { drainTerms } from './drain-terms.ts'
import type { Facts, Member, Observation } from './inputs.ts'
import { isDying, isUp, modeFor, type Plan, type Retirement, type Rotation } from './state.ts'
import { isToCome } from './to-come.ts'

/** Something that a revocation still waits for. */
export type Unmet = { reason: string; message: string }

/**
 * May the retirement's generation be revoked now? Judged under the credential's lock, in the transaction that
 * authorises the revocation.
 *
 *  rotate    every expected node proved what stays after the stores moved, nobody uses what dies, and the audit topic
 *            has the intent.
 *  expedite  the proofs, but the drain is cut after its bound, and nothing waits for the audit topic.
 *  contain   never asks: see takeover.ts.
 */
export function gate(rotation: Rotation, retirement: Retirement, facts: Facts): Unmet[] {
  const unmet = [...unproved(rotation, retirement, facts), ...undrained(rotation, retirement, facts)]
  // Nobody to ask is not everybody in agreement: the old value may be accepted by nodes that were declared gone.
  if (facts.members.length === 0 && rotation.plan.direction === 'inbound')
    unmet.push({ reason: 'nobody', message: 'there is no node that could refuse it' })
  if (modeFor(rotation, retirement.generation) === 'rotate' && !retirement.acknowledged)
    unmet.push({ reason: 'audit', message: 'the audit topic has not acknowledged the intent' })
  return unmet
}

/** The generation that is to be accepted everywhere while this one dies; null: there is none. */
function staysFor(rotation: Rotation, dying: number): number | null {
  const { base, successor } = rotation
  if (successor && successor.generation !== dying && isUp(successor)) return successor.generation
  return base === dying || isDying(rotation, base) ? null : base
}

/** Nodes that have not proved that they accept what stays, at or after the last confirmation. */
function unproved(rotation: Rotation, retirement: Retirement, facts: Facts): Unmet[] {
  const stays = staysFor(rotation, retirement.generation)
  const { successor } = rotation
  // Some store may show the dying one until the next one has moved all of them, and was confirmed after that.
  const isOnItsWay =
    stays === null ? isToCome(rotation) : stays === successor?.generation && successor.step !== 'live'
  if (isOnItsWay) return [{ reason: 'unproved', message: 'the generation that follows is not live yet' }]
  if (stays === null) return []
  return facts.members
    .filter((m) => !m.excused && !(m.provedRevision >= rotation.confirmRevision && m.accepts.includes(stays)))
    .map((m) => ({ reason: 'unproved', message: `${m.node} has not proved generation ${stays}` }))
}

/** Evidence that a generation is still used, or that nothing can be said about it. Empty: it is drained, or cut. */
export function undrained(rotation: Rotation, retirement: Retirement, facts: Facts): Unmet[] {
  // What no store ever showed is in no client's hands, so there is no use to look for. Outbound, nodes present it.
  const isHeldByNobody = retirement.because === 'abandoned' && retirement.restore.length === 0
  if (isHeldByNobody && rotation.plan.direction === 'inbound') return []
  if (isCut(rotation, retirement, facts)) return []
  const unmet: Unmet[] = []
  const [longest] = drainTerms(rotation.plan, facts.members)
  const soonest = lastShown(rotation, retirement) + (longest?.ms ?? 0)
  if (facts.now < soonest && retirement.step === 'draining')
    unmet.push({ reason: 'window', message: `${longest?.why}: ${soonest - facts.now} ms more` })
  if (rotation.plan.evidence === 'observed') {
    const seen = facts.observed?.find((one) => one.generation === retirement.generation)
    const message = seenInUse(seen, retirement, soonest, facts.now, rotation.plan)
    if (message) unmet.push({ reason: 'undrained', message: `the authority ${message}` })
  }
  for (const member of facts.members) {
    const isNewsOnly = member.excused || rotation.plan.evidence === 'observed'
    const message = isNewsOnly
      ? newsOf(member, retirement, facts.now, rotation.plan)
      : (notKnown(member, retirement, soonest, facts.now, rotation.plan) ??
        inUse(member, retirement, rotation.plan))
    if (message) unmet.push({ reason: 'undrained', message: `${member.node} ${message}` })
  }
  return unmet
}

/**
 * In an emergency the drain ends at its bound, whoever still uses it; in a routine rotation at its cap, where the policy says so,
 * though never before its readers may have let go. What was announced as unused is not cut: that was not what was announced.
 */
export function isCut(rotation: Rotation, retirement: Retirement, { now, members }: Facts): boolean {
  const { plan } = rotation
  const shown = lastShown(rotation, retirement)
  if (modeFor(rotation, retirement.generation) !== 'rotate') return now >= shown + plan.expediteDrainMs
  if (plan.atDrainCap !== 'cut' || retirement.announced) return retirement.cut === true
  const [longest] = drainTerms(plan, members)
  return now >= Math.max(retirement.since + plan.drainCapMs, shown + (longest?.ms ?? 0))
}

/** Until the stores last moved, a reader may have fetched what dies. */
function lastShown({ movedAt }: Rotation, { since }: Retirement): number {
  return Math.max(since, movedAt ?? 0)
}

/**
 * Nothing waits for what an excused node would report, nor for counters where the authority is watched. Inbound, what an
 * excused one does report is news of clients, who are not excused; of one that is not, it is news anyway.
 */
function newsOf(member: Member, retirement: Retirement, now: number, plan: Plan): string | undefined {
  const isFresh = member.reportedAt !== null && member.reportedAt >= now - plan.evidenceMs
  const counts = plan.direction === 'inbound' || !member.excused
  return counts && isFresh ? inUse(member, retirement, plan) : undefined
}

/** What speaks against "unused" at the authority: sessions, or that nobody has looked lately. */
function seenInUse(
  seen: Observation | undefined,
  { step }: Retirement,
  soonest: number,
  now: number,
  { evidenceMs, quietMs }: Plan,
): string | undefined {
  if (!seen) return 'has not been looked at'
  if (seen.at < now - evidenceMs) return `has not been looked at for ${now - seen.at} ms`
  if (seen.sessions > 0)
    return `has ${seen.sessions} open ${seen.sessions === 1 ? 'session' : 'sessions'} of it`
  if (seen.at < soonest && step === 'draining') return 'has not been looked at since the window ended'
  if (seen.lastUsedAt !== null && seen.lastUsedAt > seen.at - quietMs)
    return `saw it used ${seen.at - seen.lastUsedAt} ms before the last look`
  return undefined
}

/** Why nothing can be said of its use. */
function notKnown(
  { reportedAt }: Member,
  { step }: Retirement,
  soonest: number,
  now: number,
  { evidenceMs }: Plan,
): string | undefined {
  if (reportedAt === null) return 'has never reported counters'
  if (reportedAt < now - evidenceMs) return `has reported no counters for ${now - reportedAt} ms`
  if (reportedAt < soonest && step === 'draining') return 'has not reported since the window ended'
  return undefined
}

/** What speaks against "unused". Judged at the node's last report: of the time after it nothing is known. */
function inUse(
  { reportedAt, usage }: Member,
  { generation }: Retirement,
  { quietMs }: Plan,
): string | undefined {
  const used = usage.find((u) => u.generation === generation)
  if (!used || reportedAt === null) return undefined
  if (used.inFlight > 0) return `has ${used.inFlight} requests in flight`
  if (used.lastUsedAt !== null && used.lastUsedAt > reportedAt - quietMs)
    return `used it ${reportedAt - used.lastUsedAt} ms before its last report`
  return undefined
}
