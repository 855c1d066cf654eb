import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { createServer, type TLSSocket } from 'node:tls'
import type { VaultClient } from '@rekey/backend-vault'
import { proofPublicKey, Secret, verifyStatement } from '@rekey/contracts'
import pg from 'pg'
import { nowMs } from '../../fleet/clock.ts'
import { type BareAnswer, type BareOrder, bareStatement } from './bare-node.ts'

/**
 * The bare way to end a value: one durable row, and each node told over a TLS connection that is open. To go on serving,
 * there is also a next value: made, written to Vault, read by every node, and proved by every node before the old one is
 * refused. One process, no queue, no plan, no second thought.
 */
export type BareFleet = {
  /** Where its nodes connect to. */
  port: number
  /** Every node accepts a value of this path, and no other; readers find it there. Returns the path. */
  prepare(): Promise<string>
  /** The moment at which it begins; resolves when everybody has been told. */
  contain(): Promise<number>
  expedite(): Promise<number>
  /** With nobody in a hurry: each node proves the next value, proves it again, and says that it refuses the old one. */
  roll(): Promise<void>
  close(): Promise<void>
}

export type BareFleetOptions = {
  postgresUrl: string
  nodes: number
  /** One that may write below `path`, where the nodes may read. */
  vault: VaultClient
  path: string
  tls: { key: string; cert: string; ca: string }
}

export async function bareFleet({
  postgresUrl,
  nodes,
  vault,
  path,
  tls,
}: BareFleetOptions): Promise<BareFleet> {
  const client = new pg.Client({ connectionString: postgresUrl })
  await client.connect()
  await client.query('create table leak (at timestamptz default now(), what text)')
  const sockets = new Set<TLSSocket>()
  let onAnswer: (answer: BareAnswer) => void = () => undefined
  const server = createServer({ ...tls, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' })
  server.on('secureConnection', (socket) => {
    sockets.add(socket.setNoDelay())
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    createInterface({ input: socket }).on('line', (line) => onAnswer(JSON.parse(line)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  let current = 0
  let key = ''
  const pathOf = (generation: number) => `${path}/bare-${generation}`
  const tell = (order: BareOrder) => {
    const line = `${JSON.stringify(order)}\n`
    for (const socket of sockets) socket.write(line)
  }
  const commit = (what: string) =>
    client.query({ name: 'leak', text: 'insert into leak (what) values ($1)', values: [what] })

  /** The next value, accepted by every node beside the last one. */
  async function bringUp(generation: number): Promise<void> {
    if (sockets.size !== nodes) throw new Error(`${sockets.size} of ${nodes} bare nodes are connected`)
    const value = Secret.of(randomBytes(32).toString('base64url'))
    await vault.kvWrite('secret', pathOf(generation), {
      value: value.reveal(),
      generation,
      key_id: `bare.g${generation}`,
      call_key: 'bare',
    })
    key = proofPublicKey(value, 'bare', generation)
    await proved((nonce) => ({ type: 'hold', generation, path: pathOf(generation), nonce }))
  }

  /** Each node proves that it has the current value. */
  async function proved(order: (nonce: string) => BareOrder): Promise<void> {
    const nonce = randomBytes(18).toString('base64url')
    await answered(order(nonce), (answer) => {
      if (!('signature' in answer) || answer.generation !== current) return false
      if (verifyStatement(key, bareStatement(answer.node, current, nonce), answer.signature)) return true
      throw new Error(`${answer.node} did not prove generation ${current}`)
    })
  }

  /** Tells all of them, and waits until each has answered as `isIt` takes it. */
  function answered(order: BareOrder, isIt: (answer: BareAnswer) => boolean): Promise<void> {
    const answers = new Set<string>()
    return new Promise((resolve, reject) => {
      onAnswer = (answer) => {
        try {
          if (isIt(answer) && answers.add(answer.node).size === nodes) resolve()
        } catch (error) {
          reject(error)
        }
      }
      tell(order)
    })
  }

  return {
    port: (server.address() as AddressInfo).port,
    async prepare() {
      const old = current++
      await bringUp(current)
      tell({ type: 'refuse', generation: old, answers: false })
      return pathOf(current)
    },
    async contain() {
      const began = nowMs()
      await commit('contain')
      tell({ type: 'refuse', generation: current, answers: false })
      return began
    },
    async expedite() {
      const began = nowMs()
      const leaked = current++
      await commit('expedite')
      await bringUp(current)
      tell({ type: 'refuse', generation: leaked, answers: false })
      return began
    },
    async roll() {
      const old = current++
      await commit('roll')
      await bringUp(current)
      await proved((nonce) => ({ type: 'confirm', generation: current, nonce }))
      await answered(
        { type: 'refuse', generation: old, answers: true },
        (answer) => 'refused' in answer && answer.refused === old,
      )
      await commit('rolled')
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await client.end()
    },
  }
}
