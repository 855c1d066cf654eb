import { randomBytes } from 'node:crypto'
import {
  type Ack,
  AgentToFleet,
  type DesiredState,
  type FleetToAgent,
  type Nack,
  RekeyError,
  type UsageMessage,
} from '@rekey/contracts'
import type { NodeOrder, VerifiedAck } from '@rekey/ledger'
import { type AckContext, ackFault, nackFault, type Sent, verifyAck } from './ack-check.ts'
import type { CounterName, Counters } from './counters.ts'
import type { Log } from './log.ts'
import type { Pace } from './pace.ts'
import { spiffeIdOf } from './peer.ts'
import type { ProofKeys } from './proof-keys.ts'

type Hello = Extract<AgentToFleet, { type: 'hello' }>
type Renewed = Extract<FleetToAgent, { type: 'renewed' }>

/** The part of a WebSocket that a session works with. */
export type Wire = {
  send(text: string): void
  close(code: number, reason: string): void
  terminate(): void
  ping(): void
  readonly bufferedBytes: number
}

export type SessionOptions = {
  node: string
  wire: Wire
  heartbeatMs: number
  /** Opens the session in the ledger, which refuses a node that is not enrolled or is gone. */
  open: (hello: Hello) => Promise<{ session: number; desired: NodeOrder[] }>
  /** The session is numbered now. False: a newer one of the same node is open already. */
  onOpen: (session: NodeSession) => boolean
  proofKeys: ProofKeys
  /** For orders that make the node read a value. */
  pace: Pick<Pace, 'answered' | 'free' | 'offer' | 'struggled'>
  onAck: (ack: VerifiedAck) => void
  onNack: (nack: Nack & { node: string }) => void
  onUsage: (usage: UsageMessage & { node: string }) => void
  /** Signs a new certificate for this node; undefined: not now, or not this request. */
  renew: (csr: string) => Promise<Omit<Renewed, 'type'> | undefined>
  counters: Counters
  log: Log
}

const HELLO_MS = 5_000
const MISSED_MAX = 3
const FRAMES_PER_SECOND_MAX = 500
/** A peer that does not read would fill our memory. */
const BUFFERED_MAX_BYTES = 1024 * 1024

/**
 * One connection of one node. The peer is authenticated but not trusted: its certificate says who it is, and each
 * thing it says is checked against what it was sent.
 */
export class NodeSession {
  readonly node: string
  readonly #options: SessionOptions
  readonly #sent = new Map<string, Sent>()
  /** Credentials whose dead generations the agent wants to know, with those that it was told. */
  readonly #buries = new Map<string, string>()
  /** Credentials whose orders have waited for their turn. */
  readonly #paced = new Set<string>()
  readonly #helloTimer: NodeJS.Timeout
  #phase: 'new' | 'opening' | 'open' | 'closed' = 'new'
  #session = 0
  #boot = ''
  #missed = 0
  #renewal: Promise<Omit<Renewed, 'type'> | undefined> | undefined
  #frames = { second: 0, count: 0 }

  constructor(options: SessionOptions) {
    this.#options = options
    this.node = options.node
    this.#helloTimer = setTimeout(() => this.#refuse('malformed', 1002, 'no hello'), HELLO_MS)
  }

  get session(): number {
    return this.#session
  }

  get isOpen(): boolean {
    return this.#phase === 'open'
  }

  /** The revision that the node was told last, or -1. */
  sentRevision(credential: string): number {
    return this.#sent.get(credential)?.state.revision ?? -1
  }

  /** Sends what is newer than what the node was told; what makes it read a value, when it is its turn. */
  push(orders: NodeOrder[]): void {
    if (this.#phase !== 'open') return
    for (const { dead, ...state } of orders) {
      this.#tellDead(state.credential, dead ?? [])
      const key = this.#paceKey(state.credential)
      if (state.revision <= this.sentRevision(state.credential)) continue
      if (this.#isReading(state)) {
        this.#paced.add(state.credential)
        this.#options.pace.offer(key, () => this.#tell(state))
      } else {
        this.#options.pace.free(key)
        this.#tell(state)
      }
    }
  }

  /** False: the node is gone, or knows as much by now. */
  #tell(state: DesiredState): boolean {
    if (this.#phase !== 'open' || state.revision <= this.sentRevision(state.credential)) return false
    const { wire, counters } = this.#options
    // A fresh nonce for each: an ack of an earlier order or session cannot answer this one.
    const sent = { state, nonce: randomBytes(18).toString('base64url'), answered: false }
    this.#sent.set(state.credential, sent)
    this.#send({ type: 'desired', nonce: sent.nonce, state })
    counters.add('states_sent')
    if (wire.bufferedBytes > BUFFERED_MAX_BYTES) wire.terminate()
    return true
  }

  /** It has a value to fetch. Where it has one to refuse as well, it is told at once, whatever the store is asked for. */
  #isReading({ credential, accept, refuse }: DesiredState): boolean {
    const before = this.#sent.get(credential)?.state
    const isNew = (generation: number) => !before?.accept.some((known) => known.generation === generation)
    return (
      accept.some(({ generation }) => isNew(generation)) &&
      refuse.every((generation) => before?.refuse.includes(generation))
    )
  }

  #paceKey(credential: string): string {
    return `${this.node} ${this.#session} ${credential}`
  }

  #tellDead(credential: string, dead: number[]): void {
    const told = this.#buries.get(credential)
    const now = dead.join(' ')
    if (told === undefined || told === now) return
    this.#buries.set(credential, now)
    this.#send({ type: 'dead', credential, generations: dead })
  }

  /** Whether something was heard since the last beat. After three beats without, the connection is cut. */
  beat(): boolean {
    const { wire, counters, log } = this.#options
    // Beats are counted, not time: after a stall of this process the answers still lie unread in its sockets.
    if (this.#missed >= MISSED_MAX) {
      counters.add('silent')
      log.warn({ node: this.node, session: this.#session }, 'the node is silent, cutting its connection')
      wire.terminate()
      return false
    }
    this.#missed += 1
    wire.ping()
    return this.#missed === 1
  }

  heard(): void {
    this.#missed = 0
  }

  close(code: number, reason: string): void {
    this.#options.wire.close(code, reason)
  }

  terminate(): void {
    this.#options.wire.terminate()
  }

  closed(): void {
    this.#phase = 'closed'
    clearTimeout(this.#helloTimer)
    for (const credential of this.#paced) this.#options.pace.free(this.#paceKey(credential))
  }

  async receive(text: string | undefined): Promise<void> {
    if (this.#phase === 'closed') return
    this.#missed = 0
    if (this.#isFlooding()) return this.#refuse('flooding', 1008, 'too many messages')
    const message = text === undefined ? undefined : parse(text)
    if (!message) return this.#refuse('malformed', 1002, 'not a message')
    if (message.type === 'hello') return this.#hello(message)
    if (this.#phase !== 'open') return this.#refuse('malformed', 1002, 'hello comes first')
    switch (message.type) {
      case 'ack':
        return this.#ack(message)
      case 'nack':
        return this.#nack(message)
      case 'usage':
        if (message.session !== this.#session) return this.#fault('wrong_session', message.credential)
        // A node may speak of what it was told to hold, or will be, and of nothing else.
        if (!this.#sent.has(message.credential) && !this.#paced.has(message.credential))
          return this.#fault('unknown_nonce', message.credential)
        this.#options.onUsage({ ...message, node: this.node })
        return
      case 'renew':
        if (message.session !== this.#session) return this.#fault('wrong_session', '')
        return this.#renew(message.csr)
    }
  }

  async #hello(hello: Hello): Promise<void> {
    const { boot, adapters } = hello
    if (this.#phase !== 'new') return this.#refuse('malformed', 1002, 'hello comes once')
    for (const { credential, buries } of adapters) if (buries) this.#buries.set(credential, '')
    clearTimeout(this.#helloTimer)
    this.#phase = 'opening'
    this.#boot = boot
    const { open, onOpen, heartbeatMs, log, node } = this.#options
    let opened: Awaited<ReturnType<typeof open>>
    try {
      opened = await open(hello)
    } catch (error) {
      const isFinal = RekeyError.is(error) && !error.retryable
      log.warn({ node, error }, 'the session could not be opened')
      this.#options.wire.close(isFinal ? 1008 : 1013, isFinal ? 'not a member' : 'try again later')
      return
    }
    this.#session = opened.session
    // The socket may have gone while the ledger worked; the owner closes the session then.
    if (this.#isClosed() || !onOpen(this)) return
    this.#phase = 'open'
    this.#send({ type: 'welcome', session: opened.session, node, heartbeatMs })
    this.push(opened.desired)
  }

  #isClosed(): boolean {
    return this.#phase === 'closed'
  }

  async #ack(ack: Ack): Promise<void> {
    const sent = this.#sent.get(ack.credential)
    const context: AckContext = {
      node: this.node,
      spiffeId: spiffeIdOf(this.node),
      session: this.#session,
      boot: this.#boot,
      sent,
    }
    const fault = ackFault(ack, context)
    if (fault || !sent) return this.#fault(fault ?? 'unknown_nonce', ack.credential)
    this.#options.pace.answered(this.#paceKey(ack.credential))
    // Before the wait below: a second copy of this ack must find the nonce used.
    sent.answered = true
    const generations = ack.proofs.map((p) => p.generation)
    let keys: Awaited<ReturnType<ProofKeys['of']>>
    try {
      keys = await this.#options.proofKeys.of(ack.credential, generations)
    } catch (error) {
      // Without the keys nothing can be said. A new session brings a new nonce, and the proof again.
      this.#options.log.warn({ node: this.node, error }, 'proof keys could not be read, closing the session')
      this.#options.wire.close(1013, 'try again later')
      return
    }
    const judged = verifyAck(ack, { ...context, sent }, keys)
    if ('detail' in judged) {
      this.#fault(judged.fault, ack.credential)
      const { credential, revision, session } = ack
      const { generation, detail } = judged
      const nack = { type: 'nack', credential, revision, session, generation, detail } as const
      this.#options.onNack({ ...nack, reason: 'value_refused', node: this.node })
      return
    }
    this.#options.counters.add('acks_taken')
    this.#options.onAck(judged)
  }

  async #renew(csr: string): Promise<void> {
    // One at a time: each costs a call to Vault. An agent that gets no answer asks again much later.
    if (this.#isRenewing()) return
    this.#renewal = this.#options.renew(csr)
    const renewed = await this.#renewal.catch(() => undefined)
    this.#renewal = undefined
    if (renewed && this.#phase === 'open') this.#send({ type: 'renewed', ...renewed })
  }

  #isRenewing(): boolean {
    return this.#renewal !== undefined
  }

  #nack(nack: Nack): void {
    const sent = this.#sent.get(nack.credential)
    const fault = nackFault(nack, this.#session, sent)
    if (fault || !sent) {
      this.#fault(fault ?? 'unknown_nonce', nack.credential)
      return
    }
    if (nack.reason === 'store_unreachable') this.#options.pace.struggled()
    else this.#options.pace.free(this.#paceKey(nack.credential))
    // After "not any more" the node may say "again" with the same nonce.
    sent.answered = false
    this.#options.counters.add('nacks_taken')
    this.#options.onNack({ ...nack, node: this.node })
  }

  #send(message: FleetToAgent): void {
    this.#options.wire.send(JSON.stringify(message))
  }

  /** Something untrue or late was said: counted and dropped. */
  #fault(fault: CounterName, credential: string): void {
    const { counters, log } = this.#options
    counters.add(fault)
    const fields = { node: this.node, session: this.#session, credential: credential.slice(0, 64), fault }
    if (fault === 'acks_stale') log.debug(fields, 'a late answer was dropped')
    else log.warn(fields, 'an answer of the node was refused')
  }

  /** Something that no agent of ours says: the connection ends. */
  #refuse(fault: CounterName, code: number, reason: string): void {
    const { counters, log, wire } = this.#options
    counters.add(fault)
    log.warn(
      { node: this.node, session: this.#session, fault, reason },
      'the connection of the node is closed',
    )
    this.closed()
    wire.close(code, reason)
  }

  #isFlooding(): boolean {
    const second = Math.floor(performance.now() / 1_000)
    if (this.#frames.second !== second) this.#frames = { second, count: 0 }
    this.#frames.count += 1
    return this.#frames.count > FRAMES_PER_SECOND_MAX
  }
}

function parse(text: string): AgentToFleet | undefined {
  try {
    return AgentToFleet.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}
