import { createRequire } from 'node:module'
import { after, before, service } from './points.ts'
import { unsentTypes } from './statements.ts'

type Sent = { request: { apiName: string } }

/** Points are what Kafka keeps: records and offsets. The rest is how a client reads, waits and stays a member. */
export function hookKafka(): void {
  // kafkajs has no door for this; every request of a client goes through its connection.
  const Connection = createRequire(import.meta.url)('kafkajs/src/network/connection')
  const { send } = Connection.prototype
  Connection.prototype.send = async function (this: unknown, sent: Sent) {
    const { apiName } = sent.request
    const act = before(() => labelsOf(apiName))
    const answer = await Reflect.apply(send, this, [sent])
    after(act)
    return answer
  }
}

function labelsOf(apiName: string): string[] {
  if (apiName === 'OffsetCommit') return ['kafka commit offset']
  if (apiName !== 'Produce') return []
  // One request holds whatever was unsent, so it is a point for each record in it.
  return service === 'auditor' ? unsentTypes().map((type) => `kafka produce ${type}`) : ['kafka produce']
}
