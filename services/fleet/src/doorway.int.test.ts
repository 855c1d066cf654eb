import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { until } from '../test/until.ts'
import { Doorway, type DoorwayOptions } from './doorway.ts'

let server: Server
let clients: Socket[] = []

afterEach(() => {
  for (const client of clients) client.destroy()
  clients = []
  server.close()
})

/** A server with a doorway; `inside` are those that came in, in order. */
async function open(options: DoorwayOptions) {
  const inside: Socket[] = []
  server = createServer((socket) => void inside.push(socket))
  const doorway = new Doorway(server, options)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { inside, doorway }
}

async function knock(): Promise<Socket> {
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  clients.push(client)
  client.on('error', () => {})
  await once(client, 'connect')
  return client
}

test('so many come in at once, in their order, and the next when one is open', async () => {
  const { inside, doorway } = await open({ atOnce: 2, slowMs: 60_000 })
  const order: unknown[] = []
  for (let n = 0; n < 5; n += 1) order.push((await knock()).localPort)
  const came = () => inside.map(({ remotePort }) => remotePort)
  await until('the first two', () => inside.length === 2)
  doorway.opened(inside[0] as Socket)
  doorway.opened(inside[1] as Socket)
  // Said again, it makes no more room.
  doorway.opened(inside[0] as Socket)
  await until('the next two', () => inside.length === 4)
  expect(came()).toEqual(order.slice(0, 4))
  clients[2]?.destroy()
  await until('the last, where one hung up', () => inside.length === 5)
  expect(came().at(-1)).toBe(order.at(-1))
})

test('what they said while they waited is not lost', async () => {
  const { inside, doorway } = await open({ atOnce: 1, slowMs: 60_000 })
  await knock()
  const second = await knock()
  second.write('hello')
  await until('the first', () => inside.length === 1)
  doorway.opened(inside[0] as Socket)
  await until('the second', () => inside.length === 2)
  const [said] = await once(inside[1] as Socket, 'data')
  expect(String(said)).toBe('hello')
})

test('a stranger who takes long keeps nobody waiting, and goes on; one who is known is waited for', async () => {
  const { inside, doorway } = await open({ atOnce: 1, slowMs: 20 })
  await knock()
  await knock()
  await until('both', () => inside.length === 2)
  expect(inside.every((socket) => !socket.destroyed)).toBe(true)
  doorway.known(inside[1] as Socket, 'somebody')
  const since = performance.now()
  await knock()
  await until('longer than a stranger has', () => performance.now() - since > 60)
  expect(inside).toHaveLength(2)
  doorway.opened(inside[1] as Socket)
  await until('the third', () => inside.length === 3)
})

test('of one who comes again and again one is waited for', async () => {
  const { inside, doorway } = await open({ atOnce: 2, slowMs: 60_000 })
  for (let n = 0; n < 3; n += 1) await knock()
  await until('the first two', () => inside.length === 2)
  doorway.known(inside[0] as Socket, 'somebody')
  doorway.known(inside[1] as Socket, 'somebody')
  await until('the third', () => inside.length === 3)
})

test('more than may wait are turned away at once, and who waited too long when it is their turn', async () => {
  let turnedAway = 0
  const onTurnedAway = () => {
    turnedAway += 1
  }
  const limits = { atOnce: 1, waitingMax: 1, patienceMs: 5, slowMs: 60_000 }
  const { inside, doorway } = await open({ ...limits, onTurnedAway })
  await knock()
  await until('the first', () => inside.length === 1)
  const second = await knock()
  const since = performance.now()
  const third = await knock()
  await once(third, 'close')
  expect(second.destroyed).toBe(false)
  await until('it has waited', () => performance.now() - since > 10)
  doorway.opened(inside[0] as Socket)
  await once(second, 'close')
  expect(inside).toHaveLength(1)
  expect(turnedAway).toBe(2)
})

test('at its end nobody waits any more', async () => {
  const { inside, doorway } = await open({ atOnce: 1, slowMs: 60_000 })
  await knock()
  await until('the first', () => inside.length === 1)
  const second = await knock()
  await until('it waits', () => server.listening)
  const closed = once(second, 'close')
  doorway.close()
  await closed
  expect(inside[0]?.destroyed).toBe(false)
})
