import type { Document, RekeyError } from '@rekey/contracts'
import { type Asked, type Change, type EffectResult, FORMAT, type Input, type Leak } from '@rekey/core'
import { recordLive } from './adoption.ts'
import { rotateAged } from './aging.ts'
import * as approvals from './approvals.ts'
import * as audit from './audit-out.ts'
import * as breakGlass from './break-glass.ts'
import { configure } from './configuration.ts'
import { connectDatabase } from './database.ts'
import * as driftLook from './drift/look.ts'
import { listDrift, showLook } from './drift/view.ts'
import * as effects from './effects.ts'
import { recordFingerprint, type Unfingerprinted, unfingerprinted } from './fingerprints.ts'
import * as inbox from './inbox.ts'
import * as inventory from './inventory.ts'
import { EFFECTS_CHANNEL, JOURNAL_CHANNEL, readJournal } from './journal.ts'
import type { Lane } from './lanes.ts'
import { listen } from './listen.ts'
import { createJoinToken, declareGone, excuse, fleetLedger, loseSilent } from './nodes.ts'
import * as notifications from './notifications.ts'
import { recordObservation, type Seen, toObserve } from './observations.ts'
import { giveOrder, type OrderKey, type Orders } from './orders.ts'
import * as outcomes from './outcomes.ts'
import { recordDenials, recordPolicies } from './policy-journal.ts'
import { acceptHead, type ChainHead, lastRecord } from './recovery/audit-head.ts'
import { recordFound, type ToInspect, toInspect } from './recovery/inspection.ts'
import { type Release, release } from './recovery/release.ts'
import { startRecovery } from './recovery/start.ts'
import { showRecovery } from './recovery/view.ts'
import { startIn, submit } from './submit.ts'
import * as views from './views.ts'
import { who } from './who.ts'

export type Ledger = ReturnType<typeof openLedger>

/** All that a function takes after the database. */
type Tail<F> = F extends (db: never, ...rest: infer Rest) => unknown ? Rest : never

/**
 * Opens the ledger. `name` is the service, as PostgreSQL shows it in pg_stat_activity. `format` is the newest one of a
 * stored rotation that the process reads: its release's, unless a test plays another release.
 */
export function openLedger(options: { url: string; name: string; format?: number }) {
  const { url, name, format = FORMAT } = options
  const db = connectDatabase(url, name, { format })
  // Of their own, and soon given up: a renewal that waits behind other work comes too late.
  const renewals = connectDatabase(url, `${name}-leases`, { max: 2, queryMs: 2_000 })
  return {
    /** Events in. */
    receive: (event: inbox.Received & { change: Change | Leak }) => inbox.receive(db, event),
    recordRejected: (event: inbox.Received & { reason: string }) => inbox.recordRejected(db, event),
    verdict: (source: string | undefined, id: string) => inbox.readVerdict(db, source, id),

    /** Rotations. */
    start: (credential: string, asked: Asked) => db.transaction((tx) => startIn(tx, credential, asked)),
    submit: (rotation: string, input: Input, actor: string) => submit(db, rotation, input, actor),
    /** Opens what is due by its age. */
    rotateAged: (actor: string, onFault?: Parameters<typeof rotateAged>[2]) => rotateAged(db, actor, onFault),
    /** What people order, at most once for a key. */
    order: <Answer>(once: OrderKey, give: (orders: Orders) => Promise<Answer>) => giveOrder(db, once, give),

    /** Effects. */
    lease: (key: string, by: string, leaseMs: number) => effects.lease(db, key, by, leaseMs),
    /** What an effect found before its first act; undefined: nothing so far. */
    noted: (key: string) => effects.noted(db, key),
    note: (leased: effects.Leased, found: string[]) => effects.note(db, leased, found),
    /** Which version of each store readers get by somebody else's hand. */
    recordLive: (leased: effects.Leased, storeVersions: Record<string, string>) =>
      recordLive(db, leased, storeVersions),
    renew: (held: effects.Held[], leaseMs: number) => effects.renew(renewals, held, leaseMs),
    complete: (leased: effects.Leased, result: EffectResult, by: string) =>
      outcomes.complete(db, leased, result, by),
    fail: (leased: effects.Leased, error: RekeyError, by: string) => outcomes.fail(db, leased, error, by),
    unattended: (look: effects.Look) => effects.unattended(db, look),
    /** Of one lane, or of both: emergencies first. */
    takeWaiting: (resendMs: number, lane?: Lane) => effects.takeWaiting(db, resendMs, lane),
    fireTimers: (actor: string, firing?: outcomes.Firing) => outcomes.fireTimers(db, actor, firing),
    nextTimerMs: (lane?: Lane) => effects.nextTimerMs(db, lane),
    nextWorkMs: (resendMs: number, lane?: Lane) => effects.nextWorkMs(db, resendMs, lane),

    /** Nodes. */
    fleet: fleetLedger(db),
    createJoinToken: (request: Parameters<typeof createJoinToken>[1]) => createJoinToken(db, request),
    declareGone: (node: string, actor: string, reason: string) => declareGone(db, node, actor, reason),
    excuse: (node: string, about: Parameters<typeof excuse>[2]) => excuse(db, node, about),
    /** Nodes that were not heard of for so long are shown as lost; it ends no proof and excuses nothing. */
    loseSilent: (ms: number) => loseSilent(db, ms),
    instancesOf: (nodes: string[]) => views.instancesOf(db, nodes),

    /** What authorities show. */
    toObserve: () => toObserve(db),
    recordObservation: (credential: string, seen: Seen[]) => recordObservation(db, credential, seen),

    /** What the backends hold, by names. */
    askScan: (actor: string) => inventory.askScan(db, actor),
    showScan: (id: number) => inventory.showScan(db, id),
    takeScan: (leaseMs: number) => inventory.takeScan(db, leaseMs),
    recordScan: (...of: Tail<typeof inventory.recordScan>) => inventory.recordScan(db, ...of),

    /** What stores show that Rekey did not write. */
    planLooks: (everyMs: number) => driftLook.planLooks(db, everyMs),
    takeLooks: (of: Parameters<typeof driftLook.takeLooks>[1]) => driftLook.takeLooks(db, of),
    recordLook: (...of: Tail<typeof driftLook.recordLook>) => driftLook.recordLook(db, ...of),
    closeOffboarded: (actor: string) => driftLook.closeOffboarded(db, actor),
    askLook: (credential: string) => driftLook.askLook(db, credential),
    listDrift: (credential?: string) => listDrift(db, credential),
    showLook: (credential: string) => showLook(db, credential),

    /** Telling people. */
    raiseNotifications: <N extends notifications.Noticed>(
      types: readonly string[],
      noticeOf: (entry: notifications.NoticedEntry) => N | undefined,
    ) => notifications.raiseNotifications(db, types, noticeOf),
    claimNotifications: <N>(limit: number) => notifications.claimNotifications<N>(db, limit),
    recordSent: (claimed: notifications.Claimed<unknown>) => notifications.recordSent(db, claimed),
    recordNotSent: (
      claimed: notifications.Claimed<unknown>,
      failure: Parameters<typeof notifications.recordNotSent>[2],
      actor: string,
    ) => notifications.recordNotSent(db, claimed, failure, actor),
    nextNotificationMs: () => notifications.nextNotificationMs(db),

    /** Configuration. */
    configure: (documents: Document[], run: { apply: boolean; actor: string }) =>
      configure(db, documents, run),

    /** Who may what. */
    recordDenials: (denials: Parameters<typeof recordDenials>[1]) => recordDenials(db, denials),
    recordPolicies: (loaded: Parameters<typeof recordPolicies>[1]) => recordPolicies(db, loaded),
    subjectOf: (of: Parameters<typeof views.subjectOf>[1]) => views.subjectOf(db, of),
    blastRadius: (...of: Tail<typeof breakGlass.blastRadius>) => breakGlass.blastRadius(db, ...of),
    forgetReach: (use: string) => breakGlass.forgetReach(db, use),
    openBreakGlass: (opened: Parameters<typeof breakGlass.openBreakGlass>[1]) =>
      breakGlass.openBreakGlass(db, opened),
    recordBreakGlassUse: (used: breakGlass.BreakGlassUse) => breakGlass.recordBreakGlassUse(db, used),

    /** The agreement of a second person. */
    askApproval: (asked: approvals.ApprovalAsked) => approvals.askApproval(db, asked),
    approve: (id: string, by: Parameters<typeof approvals.approve>[2]) => approvals.approve(db, id, by),
    approvalFor: (order: Parameters<typeof approvals.approvalFor>[1]) => approvals.approvalFor(db, order),
    listApprovals: () => approvals.listApprovals(db),
    findApproval: (id: string) => approvals.findApproval(db.pool, id),

    /** Audit. */
    unaudited: (limit: number) => audit.unaudited(db, limit),
    lastRecord: () => lastRecord(db),
    /** Compares the topic's last record with the chain; `ledger_behind`: an older backup was restored. */
    acceptHead: (head: ChainHead | undefined) => acceptHead(db, head),
    storeRecords: (records: audit.AuditRecord[]) => audit.storeRecords(db, records),
    unsentRecords: (limit: number) => audit.unsentRecords(db, limit),
    markSent: (sequences: number[]) => audit.markSent(db, sequences),
    settleIntents: (onFault?: (rotation: string, error: unknown) => void) => audit.settleIntents(db, onFault),
    heartbeat: (intervalMs: number) => audit.heartbeat(db, intervalMs),

    /** After an older backup was restored. */
    recover: (order: { actor: string; reason: string }) => startRecovery(db, order),
    toInspect: (againMs: number) => toInspect(db, againMs),
    recordFound: (item: ToInspect, seen: Parameters<typeof recordFound>[2], by: string) =>
      recordFound(db, item, seen, by),
    release: (credential: string, order: Release) => release(db, credential, order),
    showRecovery: () => showRecovery(db),

    /** Whose is a string that was found somewhere? */
    who: (asked: Parameters<typeof who>[1]) => who(db, asked),
    unfingerprinted: (limit: number) => unfingerprinted(db, limit),
    recordFingerprint: (of: Pick<Unfingerprinted, 'credential' | 'generation'>, fingerprint: string) =>
      recordFingerprint(db, of, fingerprint),

    /** Views. */
    listCredentials: (credential?: string) => views.listCredentials(db, credential),
    listRotations: (filter: Parameters<typeof views.listRotations>[1]) => views.listRotations(db, filter),
    showRotation: (id: string) => views.showRotation(db, id),
    endOfRotation: (id: string) => views.endOfRotation(db, id),
    listNodes: () => views.listNodes(db),
    listRules: () => views.listRules(db),
    listWorkloads: () => views.listWorkloads(db),
    journal: (filter: Parameters<typeof readJournal>[1]) => readJournal(db.pool, filter),

    /** Wake-ups. */
    onEffects: (heard: (lane: Lane) => void) => listen(url, `${name}-listen`, EFFECTS_CHANNEL, heard),
    onJournal: (heard: () => void) => listen(url, `${name}-listen`, JOURNAL_CHANNEL, heard),

    ping: async () => {
      await db.pool.query('select 1')
    },
    /** Only one process holds `lock` at a time; undefined: another has it. */
    exclusive: (lock: string) => exclusive(db, lock),
    close: async () => {
      await Promise.all([db.close(), renewals.close()])
    },
  }
}

/** A session lock of the database: it ends with the connection, so with the process. */
async function exclusive(db: ReturnType<typeof connectDatabase>, lock: string) {
  const client = await db.pool.connect()
  let lost: (() => void) | undefined
  client.on('error', () => lost?.())
  client.on('end', () => lost?.())
  try {
    const { rows } = await client.query('select pg_try_advisory_lock(hashtextextended($1, 0)) as got', [lock])
    if (!rows[0].got) {
      client.release(true)
      return undefined
    }
  } catch (error) {
    client.release(true)
    throw error
  }
  return {
    onLost(callback: () => void) {
      lost = callback
    },
    release: () => client.release(true),
  }
}
