import { describe, test } from 'vitest'
import { ask } from '../src/adapters/haproxy/stats-socket.ts'
import { testGateway } from './gateway-kit.ts'
import { startHaproxy } from './haproxy.ts'
import { startNginx } from './nginx.ts'
import { startReloadedNginx } from './nginx-reload.ts'
import { startNode } from './node-bench.ts'
import { testReloadedGateway } from './reloaded-gateway-kit.ts'
import { until } from './until.ts'

describe('HAProxy', () => testGateway(startHaproxy))
describe('NGINX, which asks an authorizer', () => testGateway(startNginx))
describe('NGINX, which is reloaded', () => testReloadedGateway(startReloadedNginx))

test('a map of HAProxy that was emptied by hand is filled again', async () => {
  const node = await startNode()
  try {
    node.start()
    await node.acked(node.order([1]))
    await ask(node.gateway.socket, `clear map ${node.gateway.map}`)
    await until('served again', async () => (await node.statusOf(1)) === 200)
  } finally {
    await node.stop()
  }
})
