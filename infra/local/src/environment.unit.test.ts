import { expect, test } from 'vitest'
import { environmentOf } from './addresses.ts'

test('what was not started is not in the environment', () => {
  const none = {
    kafka: { brokers: [] },
    redis: { url: '' },
    postgres: { url: '' },
    vault: { addr: '', rootTokenFile: '' },
    aws: { endpoint: '', region: 'us-east-1', adminCredentialsFile: '' },
  }
  expect(environmentOf(none)).toEqual({})
  expect(environmentOf({ ...none, kafka: { brokers: ['127.0.0.1:1', '127.0.0.1:2'] } })).toEqual({
    KAFKA_BROKERS: '127.0.0.1:1,127.0.0.1:2',
  })
})
