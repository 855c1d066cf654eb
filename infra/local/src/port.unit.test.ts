import { expect, test } from 'vitest'
import { portVariable } from './port.ts'

test('a port has a variable named after its server', () => {
  expect(portVariable('redis')).toBe('REKEY_REDIS_PORT')
  expect(portVariable('kafkaController')).toBe('REKEY_KAFKA_CONTROLLER_PORT')
})
