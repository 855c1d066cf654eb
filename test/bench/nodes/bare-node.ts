import { createInterface } from 'node:readline'
import { connect } from 'node:tls'
import type { VaultClient } from '@rekey/backend-vault'
import { Secret, signStatement } from '@rekey/contracts'
import type { Identity } from './agent-code.ts'
import type { Door } from './doors.ts'

/** What the floor tells a node: lines of JSON over one TLS connection that stays open. */
export type BareOrder =
  | { type: 'hold'; generation: number; path: string; nonce: string }
  | { type: 'refuse'; generation: number }
export type BareProof = { node: string; generation: number; signature: string }

/** The statement that a bare node signs: with the value alone, as the agent does. */
export const bareStatement = (node: string, generation: number, nonce: string) => ({
  credential: 'bare',
  generation,
  revision: generation,
  node,
  session: 1,
  boot: 'bare',
  nonce,
})

/** The node's side of the floor: it obeys, and does nothing that can be left out. */
export async function connectBare(
  port: number,
  node: string,
  { privateKey, certificate, authorities }: Identity,
  vault: VaultClient,
  door: Door,
): Promise<void> {
  const socket = connect({
    port,
    host: '127.0.0.1',
    servername: 'localhost',
    key: privateKey,
    cert: certificate,
    ca: authorities,
  })
  socket.setNoDelay()
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve)
    socket.once('error', reject)
  })
  const held = new Map<string, number>()
  const obey = async (order: BareOrder) => {
    if (order.type === 'refuse') {
      for (const [value, generation] of held) if (generation === order.generation) held.delete(value)
      door.accept(held)
      return
    }
    const { generation, path, nonce } = order
    const read = await vault.kvRead('secret', path)
    const value = String(read?.data.value)
    held.set(value, generation)
    door.accept(held)
    const signature = signStatement(Secret.of(value), bareStatement(node, generation, nonce))
    socket.write(`${JSON.stringify({ node, generation, signature } satisfies BareProof)}\n`)
  }
  createInterface({ input: socket }).on('line', (line) => void obey(JSON.parse(line)))
}
