import type { KeyObject } from 'node:crypto'
import { type Ack, type DesiredState, type Nack, verifyStatement } from '@rekey/contracts'
import type { VerifiedAck } from '@rekey/ledger'

export type AckContext = {
  node: string
  /** SPIFFE ID of the mTLS peer: never taken from the message. */
  spiffeId: string
  session: number
  boot: string
  /** What the node was told last for this credential. */
  sent: Sent | undefined
}

/** What was sent for one credential, and whether its nonce was used by then. */
export type Sent = { state: DesiredState; nonce: string; answered: boolean }

export type AckFault =
  | 'acks_stale'
  | 'wrong_session'
  | 'unknown_nonce'
  | 'replayed_nonce'
  | 'incomplete_proofs'

/** Whether an ack may be looked at further: for this session, for the order sent last, and for the first time. */
export function ackFault(ack: Ack, context: AckContext): AckFault | undefined {
  const { sent } = context
  if (ack.session !== context.session) return 'wrong_session'
  if (!sent) return 'unknown_nonce'
  // A newer order went out while this one was being carried out: no lie, only late.
  if (ack.revision < sent.state.revision) return 'acks_stale'
  if (ack.revision !== sent.state.revision || ack.nonce !== sent.nonce) return 'unknown_nonce'
  if (sent.answered) return 'replayed_nonce'
  const proved = ack.proofs.map((p) => p.generation)
  const wanted = sent.state.accept.map((a) => a.generation)
  const complete = proved.length === wanted.length && wanted.every((g) => proved.includes(g))
  return complete ? undefined : 'incomplete_proofs'
}

/** The same for a nack, which has no nonce: it claims nothing that would help anybody to claim falsely. */
export function nackFault(nack: Nack, session: number, sent: Sent | undefined): AckFault | undefined {
  if (nack.session !== session) return 'wrong_session'
  if (!sent || nack.revision > sent.state.revision) return 'unknown_nonce'
  return nack.revision < sent.state.revision ? 'acks_stale' : undefined
}

/** Why an ack that was meant for us proves nothing. It is told to the ledger as a nack, because a human must look. */
export type Unproved = { fault: 'bad_proof' | 'untried'; generation: number; detail: string }

/**
 * Checks each proof against the ledger's public key for that generation; without a key nothing is proved.
 * Only a whole proof passes: every accepted generation proved and tried, and no refused one still accepted.
 */
export function verifyAck(
  ack: Ack,
  context: AckContext & { sent: Sent },
  keys: ReadonlyMap<number, string | KeyObject>,
): VerifiedAck | Unproved {
  const { node, spiffeId, session, boot, sent } = context
  const proved: number[] = []
  for (const { generation, signature, tried } of ack.proofs) {
    const key = keys.get(generation)
    const { credential, revision, nonce } = ack
    const statement = { credential, generation, revision, node: spiffeId, session, boot, nonce }
    if (!key || !verifyStatement(key, statement, signature)) {
      return { fault: 'bad_proof', generation, detail: 'the proof of possession does not verify' }
    }
    if (tried !== 'accepted') {
      return { fault: 'untried', generation, detail: 'held, but not seen accepted on the real path' }
    }
    proved.push(generation)
  }
  // What was not asked for decides nothing, so it is not passed on.
  const refusals = ack.refusals.filter((r) => sent.state.refuse.includes(r.generation))
  for (const { generation, tried } of refusals) {
    if (tried === 'accepted')
      return { fault: 'untried', generation, detail: 'still accepted on the real path' }
  }
  return { node, session, credential: ack.credential, revision: ack.revision, proved, refusals }
}
