import type { DesiredState } from '@rekey/contracts'
import type { Fleet, Session } from './fleet.ts'
import type { Keeper } from './keeper.ts'
import type { SimLedger } from './ledger.ts'
import { Link } from './link.ts'
import type { Process } from './process.ts'
import { WORKLOAD } from './scenario.ts'

const USAGE_MS = 1_000

export type NodeOptions = {
  agent: Process
  ledger: SimLedger
  fleets: Fleet[]
  keepers: Map<string, Keeper>
  /** What it serves. */
  version: string
}

/** A serving host: gateways, and an agent that is connected to one of the fleet's instances, or to none. */
export class ServingNode {
  readonly name: string
  readonly agent: Process
  readonly link: Link
  readonly keepers: Map<string, Keeper>
  readonly labels: Record<string, string>
  readonly #ledger: SimLedger
  readonly #fleets: Fleet[]
  #session: { session: Session; fleet: Fleet } | undefined
  #isEnrolled = false
  isDown = true
  hasLeft = false
  /** Somebody said that it is gone. */
  isGone = false

  constructor({ agent, ledger, fleets, keepers, version }: NodeOptions) {
    this.labels = { version }
    this.name = agent.name
    this.agent = agent
    this.link = new Link(agent.ground, agent.name)
    this.keepers = keepers
    this.#ledger = ledger
    this.#fleets = fleets
    agent.onRestart = () => this.#boot()
  }

  get sessionNumber(): number | undefined {
    return this.#session?.session.number
  }

  join(): void {
    this.#boot()
    this.agent.ground.note('joins', this.name)
  }

  #boot(): void {
    if (this.hasLeft) return
    this.isDown = false
    this.#session = undefined
    for (const keeper of this.keepers.values()) keeper.start()
    this.#dial(1)
    this.agent.after(USAGE_MS, () => this.#report())
  }

  /** The agent's process ends and comes back; what the gateway holds goes on. */
  restart(ms: number): void {
    if (this.isDown) return
    this.agent.kill(ms)
    this.#drop()
  }

  powerOff(ms: number | 'for good', isWiped = false): void {
    if (this.isDown || this.hasLeft) return
    this.isDown = true
    this.agent.kill(ms === 'for good' ? Number.MAX_SAFE_INTEGER : ms)
    this.hasLeft = ms === 'for good'
    this.#drop()
    if (isWiped) this.#isEnrolled = false
    for (const keeper of this.keepers.values()) keeper.powerOff({ isWiped })
  }

  #drop(): void {
    const was = this.#session
    this.#session = undefined
    if (was) was.fleet.broken(was.session)
  }

  #dial(ms: number): void {
    this.agent.after(ms, async () => {
      if (this.#session) return
      const { random } = this.agent.ground
      if (!this.link.isOpen) return this.#dial(random.between(300, 1_500))
      if (!this.#isEnrolled) {
        const wanted = { node: this.name, workload: WORKLOAD, ttlMs: 60_000, actor: 'anna' }
        const { token } = await this.#ledger.createJoinToken(wanted)
        await this.#ledger.fleet.redeemJoinToken(this.name, token)
        this.#isEnrolled = true
        this.isGone = false
      }
      const fleet = random.pick(this.#fleets)
      const { life } = this.agent
      const session = fleet.process.isUp ? await fleet.connect(this, `${this.name}-${life}`) : undefined
      if (session) {
        this.#session = { session, fleet }
        return
      }
      this.#dial(random.between(300, 1_500))
    })
  }

  /** This side notices that the connection is gone. */
  disconnected(session: Session): void {
    this.agent.after(this.agent.ground.random.between(1, 1_200), () => {
      const was = this.#session
      if (was?.session !== session) return
      this.#session = undefined
      was.fleet.broken(session)
      for (const keeper of this.keepers.values()) keeper.detach()
      this.#dial(this.agent.ground.random.between(100, 1_000))
    })
  }

  ordered(session: Session, state: DesiredState, nonce: number): void {
    this.agent.after(0, () => {
      const now = this.#session
      // An older connection has nothing to say any more.
      if (now?.session !== session) return
      const { fleet } = now
      const { credential } = state
      const broken = () => this.disconnected(session)
      this.keepers.get(credential)?.offer(state, {
        session: session.number,
        ack: (revision, proved) =>
          this.link.send(
            () => fleet.acked(session, { credential, revision, session: session.number, nonce, proved }),
            broken,
          ),
        nack: (revision, nack) =>
          this.link.send(() => fleet.nacked(session, { credential, revision, ...nack }), broken),
      })
    })
  }

  #report(): void {
    this.agent.after(USAGE_MS, () => this.#report())
    const now = this.#session
    if (!now) return
    const { session, fleet } = now
    const reports = [...this.keepers.values()].flatMap((keeper) => {
      const usage = keeper.usage(session.number)
      return usage ? [{ node: this.name, ...usage }] : []
    })
    this.link.send(
      () => fleet.used(reports),
      () => this.disconnected(session),
    )
  }
}
