import { createInterface } from 'node:readline'
import { type GatewayOptions, startGateway, startModelEndpoint } from '@rekey/platform'

/**
 * A serving node in a network namespace: HAProxy, its model and Rekey's agent, which inherit the namespace of this process.
 * By standard input it is told first how to start, as JSON, and then values, each of which it presents to its gateway.
 */
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const say = (what: unknown) => process.stdout.write(`${JSON.stringify(what)}\n`)

const { value: first = '' } = await lines.next()
const options = JSON.parse(first) as Omit<GatewayOptions, 'modelPort'>
const model = await startModelEndpoint()
const gateway = await startGateway({ ...options, modelPort: model.port })
say('ready')
for (let next = await lines.next(); !next.done; next = await lines.next())
  say(
    await fetch(`${gateway.url}/v1/models`, { headers: { authorization: `Bearer ${next.value}` } }).then(
      (response) => response.status,
      (error: Error) => error.message,
    ),
  )
await gateway.stop()
await model.close()
