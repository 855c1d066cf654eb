import { readFile } from 'node:fs/promises'
import type { Clients } from '@rekey/platform'
import { Kafka, logLevel } from 'kafkajs'
import { expect } from 'vitest'
import type { World } from '../e2e/world.ts'

/** Resolves when the rotation's journal has an entry of this type; the watch goes on over outages. */
export async function reaches({ control }: World, rotation: string, type: string): Promise<void> {
  for await (const watched of control.watch(rotation))
    if (watched.type === 'entry' && watched.entry.type === type) return
  throw new Error(`${rotation} ended without ${type}`)
}

/** Nothing was to be seen of it from outside: no request failed, no stream was cut. */
export async function expectNoFailure(clients: Clients): Promise<void> {
  const { ok, failed, streamsOk, streamsFailed, failures } = await clients.stop()
  expect({ failed, streamsFailed, failures }).toEqual({ failed: 0, streamsFailed: 0, failures: [] })
  expect(ok).toBeGreaterThan(0)
  expect(streamsOk).toBeGreaterThan(0)
}

const LINES_BEFORE_AN_END = 25

/** No service died of it. One that did has said why, just before its supervisor wrote that it ended. */
export async function expectNoRestart({ platform }: World): Promise<void> {
  const died: string[] = []
  for (const { restarts, spec } of Object.values(platform.services)) {
    if (restarts === 0) continue
    const lines = (await readFile(spec.logFile, 'utf8')).split('\n')
    const end = lines.findIndex((line) => line.startsWith('{"supervisor"'))
    died.push(lines.slice(Math.max(0, end - LINES_BEFORE_AN_END), end + 1).join('\n'))
  }
  expect(died).toEqual([])
}

/** Both stores on the generation, the old value refused and the new one accepted at every gateway. */
export async function expectRotated(world: World, generation: number, old: string): Promise<void> {
  const [vault, aws] = [await world.readers.vault(), await world.readers.aws()]
  expect([vault?.generation, aws?.generation]).toEqual([generation, generation])
  const answers = async (value: string) =>
    Promise.all(
      world.gateways.map(({ url }) =>
        fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${value}` } }).then((r) => r.status),
      ),
    )
  expect(await answers(old)).toEqual(world.gateways.map(() => 401))
  expect(await answers(vault?.value.reveal() ?? '')).toEqual(world.gateways.map(() => 200))
}

export async function currentValue({ readers }: World): Promise<string> {
  const read = await readers.vault()
  if (!read) throw new Error('no store shows a value')
  return read.value.reveal()
}

/** A pipeline that reports a new zone. It keeps trying for as long as Kafka is away. */
export async function sendZoneChange(
  { emitter, servers }: World,
  change: { id: string; zone: string },
): Promise<void> {
  const kafka = new Kafka({
    clientId: 'faults',
    brokers: servers.kafkaBrokers,
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 100, maxRetryTime: 1_000, retries: 1_000 },
  })
  const producer = kafka.producer()
  await producer.connect()
  await producer.send({
    topic: `rekey.changes.${emitter}.v1`,
    messages: [
      {
        key: `chat-${emitter}`,
        value: JSON.stringify(zoneChanged(emitter.replace('e2e-', 'chat-'), change)),
        headers: { 'content-type': 'application/cloudevents+json' },
      },
    ],
  })
  await producer.disconnect()
}

function zoneChanged(workload: string, { id, zone }: { id: string; zone: string }) {
  const about = {
    specversion: '0.5.1',
    id,
    source: '/faults',
    type: 'dev.cdeventsx.rekey-workload.zonechanged.0.1.0',
  }
  const at = new Date().toISOString()
  return {
    ...about,
    specversion: '1.0',
    subject: workload,
    time: at,
    datacontenttype: 'application/json',
    data: {
      context: { ...about, timestamp: at },
      subject: { id: workload, content: { environment: 'prod', zone } },
    },
  }
}
