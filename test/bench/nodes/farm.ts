import diagnostics from 'node:diagnostics_channel'
import type { ClientRequest } from 'node:http'
import { createLogger } from '@rekey/runtime'
import { nowMs } from '../../fleet/clock.ts'
import { Door, serveDoors } from '../../fleet/doors.ts'
import { type Heard, PlayedNode } from '../../fleet/played-node.ts'
import { connectBare } from './bare-node.ts'
import { serve } from './calls.ts'

/** Played nodes of one process: their sessions with the fleet, their doors, and the floor's connections beside them. */

export type FarmCalls = {
  /** Nodes with their join tokens: they enrol and connect. */
  join(nodes: { node: string; token: string }[]): Promise<void>
  port(): Promise<number>
  connectBare(port: number): Promise<void>
  /** Requests to Vault since it was last asked for. */
  vaultCalls(): Promise<number>
  /** When nodes were connected since it was last asked for. */
  connectedAt(): Promise<number[]>
  /** What was told and answered since it was last asked for, by revision. */
  heard(): Promise<Heard>
}

const AT_ONCE = 8
const LOOK_MS = 20
const environment = (name: string) => {
  const value = process.env[name]
  if (value === undefined) throw new Error(`${name} is not set`)
  return value
}

const doors = new Map<string, Door>()
const nodes: PlayedNode[] = []
const heard: Heard = {}
const connectedAt: number[] = []
const around = {
  fleet: {
    url: environment('FLEET_URL'),
    enrolUrl: environment('FLEET_ENROL_URL'),
    caFile: environment('FLEET_CA_FILE'),
  },
  vaultAddr: environment('VAULT_ADDR'),
  dir: environment('FARM_DIR'),
  credential: environment('CREDENTIAL'),
  logger: createLogger({ service: 'farm' }),
}
const port = await serveDoors(doors)

let asked = 0
const vaultHost = new URL(around.vaultAddr).host
diagnostics.subscribe('http.client.request.start', (message) => {
  const { request } = message as { request: ClientRequest }
  if (request.getHeader('host') === vaultHost) asked++
})

const sessions = new Map<PlayedNode, number>()
setInterval(() => {
  for (const node of nodes) {
    const { session } = node
    if (session === undefined || session === sessions.get(node)) continue
    sessions.set(node, session)
    connectedAt.push(nowMs())
  }
}, LOOK_MS)

serve({
  async join(joining) {
    await each(joining, async ({ node, token }) => {
      const door = new Door()
      doors.set(node, door)
      nodes.push(await PlayedNode.join({ node, token }, door, around, heard))
    })
    while (nodes.some(({ session }) => session === undefined))
      await new Promise((resolve) => setTimeout(resolve, 20))
  },
  port: async () => port,
  connectBare: (bare) =>
    each([...nodes], async ({ node, identity, vault }) => {
      const door = new Door()
      doors.set(`bare-${node}`, door)
      await connectBare(bare, node, identity, vault, door)
    }),
  async vaultCalls() {
    const calls = asked
    asked = 0
    return calls
  },
  connectedAt: async () => connectedAt.splice(0),
  async heard() {
    const told = { ...heard }
    for (const revision of Object.keys(told)) delete heard[Number(revision)]
    return told
  },
} satisfies FarmCalls)

/** All of them, some at once. */
async function each<T>(items: T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items]
  const lane = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
}
