import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { createServer, type TLSSocket } from 'node:tls'
import type { VaultClient } from '@rekey/backend-vault'
import { proofPublicKey, Secret, verifyStatement } from '@rekey/contracts'
import pg from 'pg'
import { type BareOrder, type BareProof, bareStatement } from '../exposure/bare-node.ts'
import { nowMs } from '../exposure/clock.ts'

/**
 * The bare way to end a leaked value: one durable row, and each node told over a TLS connection that is open. To go on
 * serving, there is also a next value: made, written to Vault, read by every node, and proved by every node before the
 * leaked one is refused. One process, no queue, no plan, no second thought.
 */
export type BareLeak = {
  /** Where its nodes connect to. */
  port: number
  /** Every node accepts a value of this path, and no other; readers find it there. Returns the path. */
  prepare(): Promise<string>
  /** The moment at which it begins; resolves when everybody has been told. */
  contain(): Promise<number>
  expedite(): Promise<number>
  close(): Promise<void>
}

export type BareLeakOptions = {
  postgresUrl: string
  nodes: number
  /** One that may write below `path`, where the nodes may read. */
  vault: VaultClient
  path: string
  tls: { key: string; cert: string; ca: string }
}

export async function bareLeak({ postgresUrl, nodes, vault, path, tls }: BareLeakOptions): Promise<BareLeak> {
  const client = new pg.Client({ connectionString: postgresUrl })
  await client.connect()
  await client.query('create table leak (at timestamptz default now(), what text)')
  const sockets = new Set<TLSSocket>()
  let onProof: (proof: BareProof) => void = () => undefined
  const server = createServer({ ...tls, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' })
  server.on('secureConnection', (socket) => {
    sockets.add(socket.setNoDelay())
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    createInterface({ input: socket }).on('line', (line) => onProof(JSON.parse(line)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  let current = 0
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
    const key = proofPublicKey(value, 'bare', generation)
    const nonce = randomBytes(18).toString('base64url')
    const proved = new Set<string>()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    onProof = ({ node, generation: g, signature }) => {
      if (g !== generation) return
      if (!verifyStatement(key, bareStatement(node, generation, nonce), signature))
        return reject(new Error(`${node} did not prove generation ${generation}`))
      if (proved.add(node).size === nodes) resolve()
    }
    tell({ type: 'hold', generation, path: pathOf(generation), nonce })
    await promise
  }

  return {
    port: (server.address() as AddressInfo).port,
    async prepare() {
      const old = current++
      await bringUp(current)
      tell({ type: 'refuse', generation: old })
      return pathOf(current)
    },
    async contain() {
      const began = nowMs()
      await commit('contain')
      tell({ type: 'refuse', generation: current })
      return began
    },
    async expedite() {
      const began = nowMs()
      const leaked = current++
      await commit('expedite')
      await bringUp(current)
      tell({ type: 'refuse', generation: leaked })
      return began
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await client.end()
    },
  }
}
