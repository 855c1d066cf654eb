import { describe, expect, test } from 'vitest'
import { Config } from './config.ts'

const env = { KAFKA_BROKERS: 'a:9092, b:9092', DATABASE_URL: 'postgres://x' }
const topics = (INTAKE_TOPICS?: string) => Config.parse({ ...env, INTAKE_TOPICS }).INTAKE_TOPICS

describe('INTAKE_TOPICS', () => {
  test('is every changes topic unless said otherwise', () => {
    const matches = topics()
    expect(['rekey.changes.ci.v1', 'rekey.changes.a.b.v1'].map(matches)).toEqual([true, true])
    expect(['rekey.verdicts.v1', 'rekey.changes.v1', 'x.rekey.changes.ci.v1'].map(matches)).toEqual([
      false,
      false,
      false,
    ])
  })

  test('can be a list of names or a pattern', () => {
    expect(['a', 'b', 'ab'].map(topics('a, b'))).toEqual([true, true, false])
    expect(['a', 'ab', 'b'].map(topics('^a'))).toEqual([true, true, false])
  })

  test.each(['^(', ' , '])('refuses %j', (text) => {
    expect(Config.safeParse({ ...env, INTAKE_TOPICS: text }).success).toBe(false)
  })
})

test('reads brokers as a list and has defaults', () => {
  expect(Config.parse(env)).toMatchObject({
    KAFKA_BROKERS: ['a:9092', 'b:9092'],
    INTAKE_GROUP: 'rekey-intake',
    HEALTH_PORT: 0,
  })
})
