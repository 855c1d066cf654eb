import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { startClients } from './clients.ts'
import { type NodeBench, sampleValue, startNode } from './node-bench.ts'
import { until } from './until.ts'

let node: NodeBench
afterEach(() => node?.stop())

const certificateOf = async () =>
  JSON.parse(await readFile(join(node.dir, 'state', 'enrolled.json'), 'utf8')) as {
    certificate: string
    expiresAt: string
  }
const hellos = () => node.fleet.messages.filter(({ type }) => type === 'hello').length

test('a certificate is renewed in mid-rotation, with no session lost, no request failed, and none missed at its end', async () => {
  node = await startNode()
  // Due from its first moment, and at its end in some seconds.
  const endsAt = Date.now() + 12_000
  node.fleet.certificatesValid({ notBefore: new Date(Date.now() - 48_000), notAfter: new Date(endsAt) })
  node.start()
  await node.acked(node.order([1]))
  const first = await certificateOf()
  let presented = 1
  const clients = startClients({
    url: node.gateway.url,
    count: 4,
    key: () => sampleValue(presented).reveal(),
  })
  await node.acked(node.order([1, 2]))
  presented = 2
  // What is on its way with the old key is answered long before this.
  await until('renewed', async () => (await certificateOf()).certificate !== first.certificate)
  await node.acked(node.order([2], { refuse: [1], floor: 2 }))
  expect(hellos()).toBe(1)
  expect(Date.parse((await certificateOf()).expiresAt)).toBeGreaterThan(endsAt)

  // With the first one at its end, the present session goes on, and the next one is opened with the second.
  await until('the first certificate has ended', () => Date.now() > endsAt + 1_000)
  await node.acked(node.order([2, 3], { floor: 2 }))
  expect(hellos()).toBe(1)
  presented = 3
  node.fleet.drop()
  await until('connected again', () => hellos() === 2)
  const { requests, failed } = await clients.stop()
  expect(failed).toBe(0)
  expect(requests).toBeGreaterThan(100)
  await node.acked(node.order([3], { refuse: [2], floor: 3 }))
})
