import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect, test } from 'vitest'
import { connectDatabase } from './database.ts'

/** A message of the protocol of PostgreSQL: its kind, its length, its content. */
function message(kind: string, content: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.write(kind, 0, 'latin1')
  head.writeInt32BE(content.length + 4, 1)
  return Buffer.concat([head, content])
}
const LET_IN = Buffer.concat([message('R', Buffer.alloc(4)), message('Z', Buffer.from('I'))])
const IT_ENDS = message('E', Buffer.from('SFATAL\0C57P01\0Mterminating connection\0\0'))

/** Lets in, and says in the same breath that it ends: as when its postmaster dies at that moment. */
async function serverThatEndsAtOnce() {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () => socket.end(Buffer.concat([LET_IN, IT_ENDS])))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

test('a server that ends in the moment it lets in is an error of the query, not of the process', async () => {
  const uncaught: unknown[] = []
  const hear = (error: unknown) => uncaught.push(error)
  process.on('uncaughtException', hear)
  const server = await serverThatEndsAtOnce()
  const url = `postgres://test@127.0.0.1:${(server.address() as AddressInfo).port}/test`
  const db = connectDatabase(url, 'test', { max: 1, queryMs: 1_000 })
  try {
    await expect(db.transaction(async (tx) => tx.query('select 1'))).rejects.toThrow()
    await expect(db.pool.query('select 1')).rejects.toThrow()
    expect(uncaught).toEqual([])
  } finally {
    process.off('uncaughtException', hear)
    await db.close()
    server.close()
  }
})
