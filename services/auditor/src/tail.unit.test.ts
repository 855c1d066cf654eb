import type { Kafka } from 'kafkajs'
import { expect, test } from 'vitest'
import { readTail } from './tail.ts'

test('a consumer that crashes while it still connects is an error of the reading, not of the process', async () => {
  const unhandled: unknown[] = []
  const hear = (reason: unknown) => unhandled.push(reason)
  process.on('unhandledRejection', hear)
  try {
    await expect(readTail(kafkaWhoseConsumerCrashes(), 'audit', 5)).rejects.toThrow('crashed')
    await new Promise(setImmediate)
    expect(unhandled).toEqual([])
  } finally {
    process.off('unhandledRejection', hear)
  }
})

function kafkaWhoseConsumerCrashes(): Kafka {
  let crash: (event: { payload: { error: Error } }) => void = () => undefined
  const nothing = async () => undefined
  const admin = {
    connect: nothing,
    disconnect: nothing,
    fetchTopicOffsets: async () => [{ partition: 0, low: '0', high: '9' }],
  }
  const consumer = {
    connect: nothing,
    disconnect: nothing,
    subscribe: nothing,
    seek: () => undefined,
    on: (_: string, heard: typeof crash) => {
      crash = heard
    },
    run: async () => {
      crash({ payload: { error: new Error('crashed') } })
      // Long enough for the process to take the rejection for nobody's.
      await new Promise(setImmediate)
    },
  }
  return { admin: () => admin, consumer: () => consumer } as unknown as Kafka
}
