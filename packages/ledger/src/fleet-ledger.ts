import type { DesiredState, Nack, NodeManifest, UsageMessage } from '@rekey/contracts'

/** An acknowledgement after `fleet` has checked its proofs. */
export type VerifiedAck = {
  node: string
  session: number
  credential: string
  revision: number
  /** Generations proved by signature and accepted on the node's real path. */
  proved: number[]
  /** What the node saw when it tried the others on itself. */
  refusals: { generation: number; tried: 'accepted' | 'refused' | 'unknown' }[]
}

/** For whom a certificate speaks, and the SPIFFE ID in it. */
export type NodeIdentity = { node: string; workload: string; svid: string }

export type JoinedNode = {
  node: string
  workload: string
  /** Where the node may read: one entry for each credential of its workload. */
  credentials: { credential: string; mount: string; path: string; namespace?: string }[]
}

/** What a node shall hold, and which generations are proved dead, the newest of them: whoever presents one knocks. */
export type NodeOrder = DesiredState & { dead?: number[] }

/** The part of the ledger that the `fleet` service works with. */
export interface FleetLedger {
  /** Redeems a one-use join token for exactly this node name; undefined: unknown, used, expired or for another node. */
  redeemJoinToken(node: string, token: string): Promise<JoinedNode | undefined>
  /**
   * The same for a node whose SPIFFE ID the fleet has checked. It may be repeated. Unlike a token, which a human made for it,
   * this takes no node to another workload and brings none back that was declared gone: `not_allowed_now`. `not_found`: there
   * is no such workload.
   */
  joinByIdentity(identity: NodeIdentity): Promise<JoinedNode>
  /**
   * Opens a session (numbers only grow; an older one of the node ends) and reads the node's desired states fresh. `reads`: what
   * was last said to be allowed; null: not known.
   */
  openSession(
    session: { node: string; boot: string; instance: string } & NodeManifest,
  ): Promise<{ session: number; desired: NodeOrder[]; reads: string | null }>
  /** The node may read these places now, in whatever form: it is only compared. */
  readsAllowed(node: string, reads: string): Promise<void>
  closeSession(node: string, session: number): Promise<void>
  /** Fresh desired states of these nodes. */
  desiredStates(nodes: string[]): Promise<Map<string, NodeOrder[]>>
  /** Deliveries of emergencies that are not handed over yet, for whoever need not wait to be woken. */
  urgent(): Promise<{ effect: string; nodes: string[] }[]>
  /** Proof public keys (SPKI, base64) of a credential by generation; null: possession cannot be proved for it. */
  proofKeys(credential: string): Promise<Map<number, string | null>>
  /** Stores acks in one statement, conditional on session and revision, and tells rotations whose wave is complete. */
  recordAcks(acks: VerifiedAck[]): Promise<void>
  recordNacks(nacks: (Nack & { node: string })[]): Promise<void>
  recordUsage(reports: (UsageMessage & { node: string })[]): Promise<void>
  /** Who used live generations. Repeatable: counters are compared with what was reported before. */
  recordClients(reports: (UsageMessage & { node: string })[]): Promise<void>
  /** Who presented dead ones: journalled, as few entries as the bound allows. Repeatable as well. */
  recordKnocks(reports: (UsageMessage & { node: string })[]): Promise<void>
  /** Nodes that were declared gone and still have an identity in Vault. */
  goneNodes(): Promise<string[]>
  identityEnded(node: string): Promise<void>
  /** Marks nodes as heard of just now. */
  heard(nodes: { node: string; session: number }[]): Promise<void>
}
