import type { Ongoing } from './ongoing.ts'

const SOURCE = '/pipelines/crash'
const TYPE = 'dev.cdeventsx.rekey-workload.zonechanged.0.1.0'

/** Says on the emitter's topic that the workload moved to the other one of two zones. */
export async function sendZoneChange({ bench, rotation }: Ongoing): Promise<void> {
  const { rows } = await bench.database.query("select name, known ->> 'zone' as zone from workload")
  const { name, zone } = rows[0]
  const id = `moved-${rotation}`
  const time = new Date().toISOString()
  const about = {
    specversion: '1.0',
    id,
    source: SOURCE,
    type: TYPE,
    subject: name,
    time,
    partitionkey: name,
  }
  const context = { specversion: '0.5.1', id, source: SOURCE, type: TYPE, timestamp: time }
  const content = { environment: 'prod', zone: zone === 'a' ? 'b' : 'a' }
  const data = { context, subject: { id: name, content } }
  const headers = { 'content-type': 'application/cloudevents+json; charset=UTF-8' }
  const value = JSON.stringify({ ...about, datacontenttype: 'application/json', data })
  const topic = `rekey.changes.${bench.world.emitter}.v1`
  await bench.producer.send({ topic, acks: -1, messages: [{ key: name, value, headers }] })
}
