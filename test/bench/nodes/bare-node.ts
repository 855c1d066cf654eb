import { createInterface } from 'node:readline'
import { connect } from 'node:tls'
import type { VaultClient } from '@rekey/backend-vault'
import { RekeyError, Secret, signStatement } from '@rekey/contracts'
import type { Identity } from '../../fleet/agent-code.ts'
import type { Door } from '../../fleet/doors.ts'

/** What the floor tells a node: lines of JSON over one TLS connection that stays open. */
export type BareOrder =
  | { type: 'hold'; generation: number; path: string; nonce: string }
  /** Proves once more what it holds. */
  | { type: 'confirm'; generation: number; nonce: string }
  /** `answers`: it says so when it has. */
  | { type: 'refuse'; generation: number; answers: boolean }
export type BareAnswer =
  | { node: string; generation: number; signature: string }
  | { node: string; refused: number }

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

/** Of one process, which is one of twenty where there are 10,000: as many in all as a fleet lets read at once. */
const READING_MAX = 25
let reading = 0
const waiting: (() => void)[] = []

/** A store that thousands ask at once answers none of them in time, so they take turns; and it may be slow nevertheless. */
async function untilRead(
  vault: VaultClient,
  path: string,
): Promise<Awaited<ReturnType<VaultClient['kvRead']>>> {
  if (reading >= READING_MAX) await new Promise<void>((resolve) => waiting.push(resolve))
  else reading++
  try {
    for (;;)
      try {
        return await vault.kvRead('secret', path)
      } catch (error) {
        if (!RekeyError.is(error) || !error.retryable) throw error
      }
  } finally {
    const next = waiting.shift()
    if (next) next()
    else reading--
  }
}

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
  const answer = (said: BareAnswer) => socket.write(`${JSON.stringify(said)}\n`)
  const heldValue = (wanted: number) => [...held].find(([, generation]) => generation === wanted)?.[0] ?? ''
  const taken = async ({ generation, path }: Extract<BareOrder, { type: 'hold' }>) => {
    const value = String((await untilRead(vault, path))?.data.value)
    held.set(value, generation)
    door.accept(held)
    return value
  }
  const obey = async (order: BareOrder) => {
    if (order.type === 'refuse') {
      for (const [value, generation] of held) if (generation === order.generation) held.delete(value)
      door.accept(held)
      if (order.answers) answer({ node, refused: order.generation })
      return
    }
    const { generation, nonce } = order
    const value = order.type === 'hold' ? await taken(order) : heldValue(generation)
    const signature = signStatement(Secret.of(value), bareStatement(node, generation, nonce))
    answer({ node, generation, signature })
  }
  createInterface({ input: socket }).on('line', (line) => void obey(JSON.parse(line)))
}
