import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { EXIT } from '../src/command-line.ts'
import { type NodeBench, startNode } from './node-bench.ts'
import { AGENT, startProcess } from './process.ts'
import { until } from './until.ts'

/** The agent as its own process, which enrols with a certificate of SPIRE; fleet and Vault are played. */

const SECOND_MS = 1_000
let node: NodeBench
let configFile: string

beforeEach(async () => {
  node = await startNode()
  configFile = join(node.dir, 'agent.yaml')
  const { joinTokenFile: _, ...config } = parse(await readFile(configFile, 'utf8'))
  await writeFile(
    configFile,
    stringify({ ...config, svid: { certFile: 'svid.0.pem', keyFile: 'svid.0.key' } }),
  )
})
afterEach(() => node.stop())

async function giveSvid(): Promise<void> {
  const { cert, key } = await node.fleet.svid()
  await writeFile(join(node.dir, 'svid.0.key'), key, { mode: 0o600 })
  await writeFile(join(node.dir, 'svid.0.pem'), cert)
}

const said = (what: RegExp) => until(`${what} in the log`, () => node.logs().find((line) => what.test(line)))

test('an agent waits for its SVID, enrols with it, and does so again when its state is lost', async () => {
  node.start()
  await said(/SVID cannot be read/)
  await giveSvid()
  await node.acked(node.order([1]))
  expect(await node.statusOf(1)).toBe(200)
  expect(node.fleet.svids.enrolled).toBe(1)

  await node.kill()
  await rm(join(node.dir, 'state'), { recursive: true })
  node.start()
  await node.acked(node.order([1, 2]))
  expect(await node.statusOf(2)).toBe(200)
  expect(node.fleet.svids.enrolled).toBe(2)
  const key = await readFile(join(node.dir, 'svid.0.key'), 'utf8')
  expect(node.logs().join('\n')).not.toContain(key.split('\n')[1])
})

test('a certificate that ends while the agent runs is replaced by another enrolment, and the gateway serves on', async () => {
  await giveSvid()
  // Too short to be renewed in time, by a fleet that does not answer just then.
  node.fleet.certificatesValid({
    notBefore: new Date(Date.now() - 60 * SECOND_MS),
    notAfter: new Date(Date.now() + 4 * SECOND_MS),
  })
  node.start()
  await node.acked(node.order([1]))
  node.fleet.mute(true)
  node.fleet.svids.refusal = () => ({ status: 503, error: 'busy' })
  await said(/the certificate has ended, and the node could not enrol again yet/)
  expect(await node.statusOf(1)).toBe(200)

  node.fleet.certificatesValid({})
  node.fleet.svids.refusal = () => undefined
  await until('enrolled again', () => node.fleet.svids.enrolled === 2)
  // Its greeting was not heard.
  node.fleet.mute(false)
  node.fleet.drop()
  await node.acked(node.order([1, 2]))
  expect(await node.statusOf(2)).toBe(200)
  expect((await node.ready()).credentials[0]).toMatchObject({ accept: [1, 2], problem: null })
})

test('an agent whose certificate ended while it was away serves from its journal until the fleet takes it in', async () => {
  await giveSvid()
  node.fleet.certificatesValid({
    notBefore: new Date(Date.now() - 60 * SECOND_MS),
    notAfter: new Date(Date.now() + 3 * SECOND_MS),
  })
  node.start()
  await node.acked(node.order([2], { refuse: [1], floor: 2 }))
  await node.kill()
  node.fleet.drop()
  node.fleet.svids.refusal = () => ({ status: 403, error: 'node gw-1 was declared gone' })
  await until('it has ended', async () => {
    const { expiresAt } = JSON.parse(await readFile(join(node.dir, 'state', 'enrolled.json'), 'utf8'))
    return Date.parse(expiresAt) < Date.now()
  })
  node.start()
  await said(/node gw-1 was declared gone/)
  await until('applied from the journal', async () => (await node.statusOf(2)) === 200)

  node.fleet.certificatesValid({})
  node.fleet.svids.refusal = () => undefined
  await until('enrolled again', () => node.fleet.svids.enrolled === 2)
  await node.acked(node.order([2, 3], { refuse: [1], floor: 2 }))
})

test('a node that is not let in says so and ends with the code that asks for a human', async () => {
  await giveSvid()
  node.fleet.svids.refusal = () => ({ status: 403, error: 'the certificate is of another node' })
  const agent = node.start()
  expect(await agent.exited).toBe(EXIT.notEnrolled)
  expect(agent.lines.join('\n')).toMatch(/did not take the SVID \(403: the certificate is of another node\)/)
  expect(agent.lines.join('\n')).not.toMatch(/join token/)

  // What may pass by itself is an error like any other, for whoever asks once.
  node.fleet.svids.refusal = () => ({ status: 401, error: 'the certificate is not trusted' })
  const once = startProcess(AGENT, ['enrol', '--config', configFile])
  expect(await once.exited).toBe(EXIT.error)
})
