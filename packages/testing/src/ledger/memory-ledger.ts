import type { ErrorCode, Nack, UsageMessage } from '@rekey/contracts'
import type { Change, EffectResult, Input, KnownWorkload, Plan, Rule } from '@rekey/core'
import * as audit from './audit-out.ts'
import * as effects from './effects.ts'
import * as inbox from './inbox.ts'
import { append, readJournal } from './journal.ts'
import * as nodes from './nodes.ts'
import * as outcomes from './outcomes.ts'
import { endPause, type PauseOrder, pause } from './pause.ts'
import { credentialRow, readFacts, rotationOf, type Start, start, submit } from './submit.ts'
import { type CredentialRow, Tables } from './tables.ts'

export type MemoryLedger = ReturnType<typeof memoryLedger>

/** A credential as it is configured, or as it is taken over with a generation in use. */
export type NewCredential = Pick<CredentialRow, 'name' | 'workload'> & {
  plan: Plan
  jitterMs?: number
  /** Absent: it has no value yet. */
  adopted?: { generation: number; shown: Record<string, string> }
}

/**
 * The ledger without PostgreSQL: the same operations and the same rules, on a clock that its owner moves. Each call is
 * one transaction. Held to the real one by the contract kit beside it.
 */
export function memoryLedger({ clock }: { clock: () => number }) {
  const tables = new Tables(clock)
  return {
    /** For tests only: the rows as they are. */
    tables,

    addWorkload(known: KnownWorkload) {
      tables.workloads.put(known.name, known)
    },
    addRule(rule: Rule) {
      tables.rules.put(rule.name, rule)
    },
    addCredential({ name, workload, plan, jitterMs = 0, adopted }: NewCredential) {
      tables.credentials.put(name, {
        name,
        workload,
        plan,
        jitterMs,
        current: adopted?.generation ?? null,
        last: adopted?.generation ?? 0,
        revision: 0,
        openRotation: null,
        shown: adopted?.shown ?? {},
        movedAt: null,
        isRetired: false,
        dead: [],
        paused: null,
      })
    },

    /** What `configure` writes into the journal. */
    journalConfigured(documents: { kind: string; name: string }[], actor: string) {
      const entries = documents.map(({ kind, name }) => ({
        type: 'ConfigurationChanged',
        kind,
        name,
        action: 'create',
        fields: [],
      }))
      tables.transaction(() => append(tables, 'configuration', actor, entries))
    },

    /** Events in. */
    receive: async (event: inbox.Received & { change: Change }) => inbox.receive(tables, event),

    /** Rotations. */
    start: async (credential: string, asked: Start) => start(tables, credential, asked),
    submit: async (rotation: string, input: Input, actor: string) => submit(tables, rotation, input, actor),
    pause: async (credential: string | undefined, order: PauseOrder) => pause(tables, credential, order),
    endPause: async (credential: string | undefined, order: Omit<PauseOrder, 'forMs'>) =>
      endPause(tables, credential, order),
    rotation: (id: string) => rotationOf(tables, id),
    /** What a decision about this credential would be made on. */
    facts: (credential: string) => readFacts(tables, credentialRow(tables, credential)),

    /** Effects. */
    lease: async (key: string, by: string, leaseMs: number) => effects.lease(tables, key, by, leaseMs),
    renew: async (held: { key: string; attempt: number }[], leaseMs: number) =>
      effects.renew(tables, held, leaseMs),
    complete: async (leased: Parameters<typeof outcomes.complete>[1], result: EffectResult, by: string) =>
      outcomes.complete(tables, leased, result, by),
    fail: async (
      leased: Parameters<typeof outcomes.complete>[1],
      error: { code: ErrorCode; message: string; retryable: boolean },
      by: string,
    ) => outcomes.fail(tables, leased, error, by),
    unattended: async (look: Parameters<typeof effects.unattended>[1]) => effects.unattended(tables, look),
    takeWaiting: async (resendMs: number, lane?: effects.Lane) => effects.takeWaiting(tables, resendMs, lane),
    fireTimers: async (actor: string, firing?: { lane?: effects.Lane }) =>
      outcomes.fireTimers(tables, actor, firing),
    nextTimerMs: async (lane?: effects.Lane) => effects.nextTimerMs(tables, lane),
    nextWorkMs: async (resendMs: number, lane?: effects.Lane) => effects.nextWorkMs(tables, resendMs, lane),

    /** Nodes. */
    createJoinToken: async (request: Parameters<typeof nodes.createJoinToken>[1]) =>
      nodes.createJoinToken(tables, request),
    fleet: {
      redeemJoinToken: async (node: string, token: string) => nodes.redeemJoinToken(tables, node, token),
      joinByIdentity: async (identity: Parameters<typeof nodes.joinByIdentity>[1]) =>
        nodes.joinByIdentity(tables, identity),
      openSession: async (session: Parameters<typeof nodes.openSession>[1] & { boot: string }) =>
        nodes.openSession(tables, session),
      closeSession: async (node: string, session: number) => nodes.closeSession(tables, node, session),
      desiredStates: async (names: string[]) => nodes.desiredStates(tables, names),
      recordAcks: async (acks: nodes.VerifiedAck[]) => nodes.recordAcks(tables, acks),
      recordNacks: async (nacks: (Nack & { node: string })[]) => nodes.recordNacks(tables, nacks),
      recordUsage: async (reports: (UsageMessage & { node: string })[]) => nodes.recordUsage(tables, reports),
      heard: async (names: { node: string; session: number }[]) => nodes.heard(tables, names),
    },
    declareGone: async (node: string, actor: string, reason: string) =>
      nodes.declareGone(tables, node, actor, reason),
    excuse: async (node: string, about: Parameters<typeof nodes.excuse>[2]) =>
      nodes.excuse(tables, node, about),
    loseSilent: async (ms: number) => nodes.loseSilent(tables, ms),
    instancesOf: async (names: string[]) => nodes.instancesOf(tables, names),

    /** Audit. */
    unaudited: async (limit: number) => audit.unaudited(tables, limit),
    lastRecord: async () => audit.lastRecord(tables),
    storeRecords: async (records: audit.AuditRecord[]) => audit.storeRecords(tables, records),
    unsentRecords: async (limit: number) => audit.unsentRecords(tables, limit),
    markSent: async (sequences: number[]) => audit.markSent(tables, sequences),
    settleIntents: async () => audit.settleIntents(tables),

    journal: async (filter: { stream?: string; after?: number; limit?: number }) =>
      readJournal(tables, filter),
    onEffects(heard: () => void) {
      tables.onEffects = heard
    },
  }
}
