import { expect, test } from 'vitest'
import { refuseOtherMachines } from './given.ts'
import { SERVER_NAMES, startStack } from './stack.ts'

const check = (env: NodeJS.ProcessEnv) => () => refuseOtherMachines(SERVER_NAMES, env)

test.each([
  {},
  { DATABASE_URL: 'postgres://rekey:word@localhost:5432/rekey', REDIS_URL: 'redis://[::1]:6379' },
  { KAFKA_BROKERS: '127.0.0.1:9092,localhost:9093', VAULT_ADDR: 'http://127.0.0.1:8200' },
  { DATABASE_URL: 'postgres:///rekey?host=/run/postgresql' },
  { DATABASE_URL: 'postgres://%2Frun%2Fpostgresql/rekey' },
  { AWS_ENDPOINT_URL: 'http://LOCALHOST:4566' },
  { DATABASE_URL: 'postgres://db.example.com/rekey', REKEY_STACK_USE_ENV: 'yes' },
])('%j is this machine, or allowed', (env) => {
  expect(check(env)).not.toThrow()
})

test.each([
  [
    { DATABASE_URL: 'postgres://rekey:word@db.example.com:5432/rekey' },
    'DATABASE_URL names host db.example.com,',
  ],
  [
    { DATABASE_URL: 'postgres://localhost/rekey?host=db.example.com' },
    'DATABASE_URL names host db.example.com,',
  ],
  [
    { DATABASE_URL: 'postgres:///rekey', PGHOST: 'db.example.com' },
    'DATABASE_URL names host db.example.com,',
  ],
  [{ DATABASE_URL: 'postgres://u:word@a:1,b:2/rekey' }, 'DATABASE_URL names host (unreadable),'],
  [{ REDIS_URL: 'rediss://10.0.0.7' }, 'REDIS_URL names host 10.0.0.7,'],
  [{ KAFKA_BROKERS: 'localhost:9092,kafka-1:9092' }, 'KAFKA_BROKERS names host kafka-1,'],
  [{ VAULT_ADDR: 'https://localhost.example.com' }, 'VAULT_ADDR names host localhost.example.com,'],
  [{ AWS_ENDPOINT_URL: 'https://sts.eu-central-1.amazonaws.com' }, 'AWS_ENDPOINT_URL names host sts.'],
])('%j is refused', (env, beginning) => {
  expect(check(env)).toThrow(beginning)
  expect(check(env)).not.toThrow(/word/)
})

test('only the servers that are wanted are looked at', () => {
  expect(() => refuseOtherMachines(['redis'], { DATABASE_URL: 'postgres://db.example.com' })).not.toThrow()
})

test('a stack is refused before anything is made', async () => {
  const { DATABASE_URL: kept, REKEY_STACK_USE_ENV: allowed } = process.env
  process.env.DATABASE_URL = 'postgres://db.example.com/rekey'
  delete process.env.REKEY_STACK_USE_ENV
  try {
    await expect(startStack({ only: ['postgres'] })).rejects.toThrow(
      'DATABASE_URL names host db.example.com, which is not this machine: unset it, or set REKEY_STACK_USE_ENV=yes to use it.',
    )
  } finally {
    if (kept === undefined) delete process.env.DATABASE_URL
    else process.env.DATABASE_URL = kept
    if (allowed !== undefined) process.env.REKEY_STACK_USE_ENV = allowed
  }
})
