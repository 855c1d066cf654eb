import { readFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import type { Secret } from '@rekey/contracts'
import { ensureHaproxy, freePort } from '@rekey/local'
import { readersOf, startGateway, startModelEndpoint } from '@rekey/platform'
import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest'
import { firstValueProved } from '../e2e/first-value.ts'
import { type OwnRekey, startOwnRekey, workloadOf } from '../e2e/own-rekey.ts'
import { makeNamespace, type Namespace, whyNoNamespaces } from './namespace.ts'
import { type NodeInside, startInside } from './node-inside.ts'

const why = await whyNoNamespaces()
if (why) process.stderr.write(`partition: skipped, ${why}\n`)

/** Longer than heartbeats take to notice, and so much shorter than TCP does by itself. */
const NOTICED = { timeout: 40_000, interval: 200 }
const HEARTBEAT_MS = 500

let closers: (() => Promise<unknown>)[] = []
let ns: Namespace
let rekey: OwnRekey
let inside: NodeInside
let credential: string
let far: string
let read: () => Promise<{ value: Secret; generation: number }>
let outside: (value: Secret) => Promise<number>

/** One gateway here, and one behind a cable, with fleet and Vault on this side of it. */
async function start(): Promise<void> {
  const stack = inject('stack')
  ns = await makeNamespace()
  closers.push(() => ns.remove())
  rekey = await startOwnRekey(stack, {
    name: 'cable',
    redisDatabase: 10,
    env: { HEARTBEAT_MS: String(HEARTBEAT_MS), REKEY_LOST_MS: '2000', FLEET_HOST: ns.address },
  })
  closers.push(() => rekey.close())
  const { id, dir, control, platform, servers } = rekey
  const at = (url: string) => url.replace('127.0.0.1', ns.address)
  const fleet = {
    ...platform.fleet,
    url: at(platform.fleet.url),
    enrolUrl: at(platform.fleet.enrolUrl),
  }
  const vaultAddr = await relayed(servers.vaultAddr, ns.address)
  const model = await startModelEndpoint()
  closers.push(() => model.close())
  const [workload, port] = [`cable-${id}`, await freePort()]
  const near = `near-${id}`
  far = `far-${id}`
  credential = `cable-key-${id}`
  const path = `e2e/${id}/cable`
  const haproxy = await ensureHaproxy()
  await control.configure([workloadOf(workload), credentialOf({ workload, path, near, port })], true)
  const token = async (node: string) => (await control.createNodeToken(node, workload, 60_000)).token
  const about = { credential, dir, haproxy, fleet, vaultAddr }
  const gateway = await startGateway({
    ...about,
    name: near,
    port,
    modelPort: model.port,
    joinToken: await token(near),
  })
  closers.push(() => gateway.stop())
  inside = await startInside(ns, { ...about, name: far, port: await freePort(), joinToken: await token(far) })
  closers.push(() => inside.stop())
  expect(await rekey.ended(`${credential}-g1`)).toBe('closed')
  await firstValueProved(control, credential, 2)
  const readers = readersOf(servers, { path, region: servers.awsRegion })
  closers.push(async () => readers.close())
  read = async () => {
    const shown = await readers.vault()
    if (!shown) throw new Error('Vault shows nothing')
    return shown
  }
  outside = (value) =>
    fetch(`${gateway.url}/v1/models`, { headers: { authorization: `Bearer ${value.reveal()}` } }).then(
      ({ status }) => status,
    )
}

const credentialOf = (about: { workload: string; path: string; near: string; port: number }) => ({
  apiVersion: 'rekey.dev/v1',
  kind: 'Credential',
  metadata: { name: credential },
  spec: {
    workload: about.workload,
    purpose: 'api-key',
    direction: 'inbound',
    authority: {
      kind: 'nodes',
      endpoints: [{ name: about.near, url: `http://127.0.0.1:${about.port}/v1/models` }],
    },
    stores: [{ name: 'vault', kind: 'vault-kv', mount: 'secret', path: about.path }],
    rollout: {
      waves: [1, '100%'],
      settleMs: 0,
      quietMs: 500,
      readerCacheMs: 500,
      waveDeadlineMs: 4_000,
      drainCapMs: 60_000,
      evidenceMs: 10_000,
      expediteDrainMs: 500,
    },
  },
})

/** What listens on loopback, at an address that the namespace reaches. */
async function relayed(url: string, address: string): Promise<string> {
  const { hostname, port } = new URL(url)
  const server = createServer((socket) => {
    const on = connect({ host: hostname, port: Number(port) })
    for (const [one, other] of [
      [socket, on],
      [on, socket],
    ] as const) {
      one.on('error', () => undefined)
      one.on('close', () => other.destroy())
      one.pipe(other)
    }
  })
  await new Promise<void>((resolve) => server.listen(0, address, resolve))
  closers.push(async () => server.close())
  const bound = server.address()
  return `http://${address}:${typeof bound === 'object' ? bound?.port : 0}`
}

/** Pulled for longer than it takes both sides to notice. */
async function cutAndNoticed(): Promise<void> {
  await ns.cut()
  // Nothing was sent to either side: no FIN, no RST. Each finds out by heartbeats that do not come.
  await vi.waitFor(async () => expect((await inside.status()).session).toBeNull(), NOTICED)
  await vi.waitFor(async () => expect(await stateOfFar()).toBe('lost'), NOTICED)
  await vi.waitFor(async () => {
    const log = await readFile(join(rekey.platform.logsDir, 'fleet.log'), 'utf8')
    const cuts = log.split('\n').filter((line) => line.includes('silent') && line.includes(far))
    expect(cuts.length).toBeGreaterThan(0)
  }, NOTICED)
}

/** The rotation, once a wave of it waits for longer than it should. */
const heldFor = (rotation: string) =>
  vi.waitFor(
    async () => {
      const detail = await rekey.control.rotation(rotation)
      expect(detail.holds.map(({ reason }) => reason)).toContain('wave_deadline')
      return detail
    },
    { timeout: 60_000, interval: 200 },
  )
const holdsOf = ({ holds }: { holds: { detail: string }[] }) => holds.map(({ detail }) => detail).join()

const stateOfFar = async () => (await rekey.control.nodes()).find(({ node }) => node === far)?.state

beforeEach(async () => {
  closers = []
  if (!why) await start()
})
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

test.skipIf(why)(
  'a node behind a cut cable serves on, holds a routine rotation, and ends its wait when it is back',
  async () => {
    const old = await read()
    await cutAndNoticed()
    expect(await inside.knock(old.value)).toBe(200)

    const { rotation } = await rekey.control.rotate(credential, 'while a cable is cut')
    const held = await heldFor(rotation)
    expect(held.outcome).toBeNull()
    // It says for whom: the one that has not proved the next value is the one that is lost.
    expect(holdsOf(held)).toMatch(new RegExp(`no answer from ${far}`))
    expect(held.nodes.find(({ node }) => node === far)).toMatchObject({ state: 'lost' })
    // Readers still get what every node accepts, on both sides of the cut.
    expect((await read()).generation).toBe(old.generation)
    expect([await inside.knock(old.value), await outside(old.value)]).toEqual([200, 200])

    await ns.heal()
    expect(await rekey.ended(rotation, 90_000)).toBe('closed')
    const next = await read()
    expect(next.generation).toBe(old.generation + 1)
    expect([await inside.knock(next.value), await outside(next.value)]).toEqual([200, 200])
    expect([await inside.knock(old.value), await outside(old.value)]).toEqual([401, 401])
    await vi.waitFor(
      async () => expect(await inside.status()).toMatchObject({ code: 0, accept: [next.generation] }),
      NOTICED,
    )
  },
)

test.skipIf(why)(
  'a containment goes on without a node behind a cut cable, and ends when that refuses the leaked key too',
  async () => {
    const leaked = await read()
    await cutAndNoticed()
    const { rotation } = await rekey.control.contain(credential, 'in use by an attacker')
    // On this side nothing waits for it: the leaked key is refused, and readers have the next one, which works.
    const next = await vi.waitFor(async () => {
      const shown = await read()
      expect(shown.generation).toBe(leaked.generation + 1)
      return shown
    }, NOTICED)
    expect([await outside(leaked.value), await outside(next.value)]).toEqual([401, 200])
    // Behind the cut nobody can tell it, so it serves what it was told last, and the refusal is not called proved.
    expect(await inside.knock(leaked.value)).toBe(200)
    const held = await heldFor(rotation)
    expect(held.outcome).toBeNull()
    expect(holdsOf(held)).toMatch(new RegExp(`narrow.*no answer from ${far}`))

    await ns.heal()
    await vi.waitFor(async () => expect(await inside.knock(leaked.value)).toBe(401), NOTICED)
    await vi.waitFor(async () => expect(await inside.knock(next.value)).toBe(200), NOTICED)
    expect(await rekey.ended(rotation, 90_000)).toBe('closed')
  },
)
