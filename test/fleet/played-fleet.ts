import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { ControlClient } from '@rekey/cli'
import type { Secret } from '@rekey/contracts'
import type { SupervisedProcess } from '@rekey/platform'
import { createLogger } from '@rekey/runtime'
import { Door, type Place, serveDoors } from './doors.ts'
import { type Heard, PlayedNode } from './played-node.ts'
import type { Fault } from './script.ts'
import { Wire } from './wire.ts'

/** One instance of the fleet service, and where its channel is. */
export type Instance = { process: SupervisedProcess; port: number }

export type PlayedFleetOptions = {
  control: ControlClient
  instances: [Instance, Instance]
  enrolUrl: string
  caFile: string
  vaultAddr: string
  workload: string
  credential: string
  dir: string
}

/** `serving`: it was ready since it came up, so that traffic comes to it, whatever happens to the fleet meanwhile. */
type Member = { played: PlayedNode; wire: Wire; door: Door; serving: boolean; gone: boolean }

const JOINED_AT_ONCE = 10
const SLOW_MS = 700
const LOOK_MS = 10

/** Played nodes with everything that can befall them, and clients that knock at each one that serves. */
export class PlayedFleet {
  readonly #options: PlayedFleetOptions
  readonly #members = new Map<string, Member>()
  readonly #doors = new Map<string, Door>()
  readonly #heard: Heard = {}
  readonly #timer: NodeJS.Timeout
  #count = 0
  #port = 0
  /** What went wrong for a client, in words. */
  readonly refusals: string[] = []
  knocks = 0
  /** How often a node said what it had proved in an older session. */
  replayed = 0

  private constructor(options: PlayedFleetOptions) {
    this.#options = options
    this.#timer = setInterval(() => {
      for (const member of this.#members.values()) member.serving ||= !member.gone && member.played.isReady
    }, LOOK_MS)
  }

  static async start(options: PlayedFleetOptions, nodes: number): Promise<PlayedFleet> {
    const fleet = new PlayedFleet(options)
    fleet.#port = await serveDoors(fleet.#doors)
    let left = nodes
    const lane = async () => {
      while (left-- > 0) await fleet.join()
    }
    await Promise.all(Array.from({ length: JOINED_AT_ONCE }, lane))
    return fleet
  }

  /** Where a prober may try values: nodes that nothing takes out of service. */
  get places(): Place[] {
    return this.#spared().map((name) => ({ port: this.#port, name }))
  }

  get present(): PlayedNode[] {
    return [...this.#members.values()].filter(({ gone }) => !gone).map(({ played }) => played)
  }

  #spared(): string[] {
    return [...this.#members.keys()].slice(0, 3)
  }

  async join(): Promise<PlayedNode> {
    const { control, instances, enrolUrl, caFile, vaultAddr, workload, credential, dir } = this.#options
    const number = ++this.#count
    const node = `${workload}-${String(number).padStart(4, '0')}`
    const wire = await Wire.to((instances[number % 2] as Instance).port)
    const door = new Door()
    await mkdir(join(dir, 'played'), { recursive: true, mode: 0o700 })
    const around = {
      fleet: { url: `wss://127.0.0.1:${wire.port}`, enrolUrl, caFile },
      vaultAddr,
      dir: join(dir, 'played'),
      credential,
      usageMs: 200,
      logger: createLogger({ service: 'played' }),
    }
    const played = await this.#enrolled(node, async () => {
      const { token } = await control.createNodeToken(node, workload, 600_000)
      return PlayedNode.join({ node, token }, door, around, this.#heard)
    })
    this.#members.set(node, { played, wire, door, serving: false, gone: false })
    this.#doors.set(node, door)
    return played
  }

  /** An instance that dies meanwhile may have used the token up: then somebody brings a new one. */
  async #enrolled(node: string, enrol: () => Promise<PlayedNode>): Promise<PlayedNode> {
    for (let tries = 1; ; tries++)
      try {
        return await enrol()
      } catch (error) {
        if (tries === 20) throw new Error(`${node} cannot enrol`, { cause: error })
        await delay(500)
      }
  }

  /** Everybody who can serve takes this value at its door. Which did not is written down. */
  knock(value: Secret, generation: number): void {
    const authorization = `Bearer ${value.reveal()}`
    for (const [node, { door, serving }] of this.#members) {
      if (!serving) continue
      this.knocks++
      if (door.knock(authorization) !== 200)
        this.refusals.push(`${node} refused generation ${generation}, which the store showed`)
    }
  }

  /**
   * No node refuses a value any more. One that refuses what was given up, and connects anew while that is still accepted,
   * cannot prove what stays: the rollback would wait for it until somebody excuses it.
   */
  mend(): void {
    for (const { door } of this.#members.values()) door.refuses.clear()
  }

  /** Doors of present nodes that take a value. */
  takers(value: Secret): string[] {
    const authorization = `Bearer ${value.reveal()}`
    return [...this.#members]
      .filter(([, { door, gone }]) => !gone && door.knock(authorization) === 200)
      .map(([node]) => node)
  }

  /** Does it; `next` is the generation that is coming up. Returns whom it befell. */
  async befall(fault: Fault, whom: number, next: number): Promise<string> {
    const open = [...this.#members].filter(
      ([node, { gone, played }]) => !gone && played.session !== undefined && !this.#spared().includes(node),
    )
    const [node, member] = open[Math.floor(whom * open.length)] ?? []
    if (!node || !member) throw new Error('no node is left to befall')
    const { played, wire, door } = member
    switch (fault) {
      case 'killed':
      case 'old image':
      case 'no journal':
        await this.#away(member)
        if (fault === 'old image') played.forget(3)
        if (fault === 'no journal') played.forget(Number.POSITIVE_INFINITY)
        wire.open()
        await played.boot()
        break
      case 'cut':
        wire.cut()
        break
      case 'slow':
        door.slowMs = SLOW_MS
        break
      case 'refuses':
        door.refuses.add(next)
        break
      case 'gone for good':
        member.gone = true
        await this.#away(member)
        break
      case 'joiner':
        return (await this.join()).node
      case 'instance killed':
        await this.#instanceOf(wire).process.kill()
        break
      case 'moves':
        wire.leadTo(this.#options.instances.find(({ port }) => port !== wire.target)?.port ?? 0)
        break
      case 'replays':
        await this.#replay(member)
        break
    }
    return node
  }

  async end(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(
      [...this.#members.values()].map(async ({ played, wire }) => {
        wire.end()
        await played.end()
        played.vault.close()
      }),
    )
  }

  #instanceOf(wire: Wire): Instance {
    return this.#options.instances.find(({ port }) => port === wire.target) as Instance
  }

  async #away(member: Member): Promise<void> {
    member.serving = false
    member.wire.close()
    await member.played.end()
  }

  /** In a new session it says what it proved in the one before, with that one's number, and then with the new one's. */
  async #replay(member: Member): Promise<void> {
    const { played, wire } = member
    const [proof, before] = [played.lastAck, played.session]
    wire.cut()
    while (played.session === undefined || played.session === before) {
      if (member.gone) return
      await delay(LOOK_MS)
    }
    if (!proof) return
    played.say(proof)
    played.say({ ...proof, session: played.session })
    this.replayed++
  }
}
