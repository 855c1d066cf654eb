import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect, test } from 'vitest'
import { portVariable, requirePort } from './port.ts'

test('a port has a variable named after its server', () => {
  expect(portVariable('redis')).toBe('REKEY_REDIS_PORT')
  expect(portVariable('kafkaController')).toBe('REKEY_KAFKA_CONTROLLER_PORT')
})

test('a port that somebody has is refused in a sentence', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await expect(requirePort(port)).rejects.toThrow(
    `Port ${port} on 127.0.0.1 is in use: stop the program that has it.`,
  )
  server.close()
  await once(server, 'close')
  await requirePort(port)
})
