import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ControlClient } from '@rekey/cli'
import { freePort } from '@rekey/local'
import { readersOf, SupervisedProcess } from '@rekey/platform'
import { afterEach, expect, inject, test, vi } from 'vitest'
import { startOwnRekey, workloadOf } from '../e2e/own-rekey.ts'
import type { Place } from './doors.ts'
import { type Instance, PlayedFleet } from './played-fleet.ts'
import { type Blow, FAULTS, script } from './script.ts'

const isDeep = process.env.REKEY_DEEP === '1'
/** One that is said by a failure: FLEET_SEED=N replays its script. */
const SEED = Number(process.env.FLEET_SEED ?? 1)
const SIZE = isDeep
  ? { nodes: 300, rotations: 12, faults: 6, withinMs: 300_000 }
  : { nodes: 40, rotations: 3, faults: 4, withinMs: 90_000 }
const LOOK_MS = 50

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** A whole Rekey with two instances of `fleet`, and a credential that all nodes accept. */
async function stage() {
  const stack = inject('stack')
  const rekey = await startOwnRekey(stack, {
    name: 'farm',
    redisDatabase: 11,
    env: { HEARTBEAT_MS: '500', REKEY_LOST_MS: '2000' },
  })
  closers.push(() => rekey.close())
  const { id, dir, control, platform, servers } = rekey
  const [port, enrolPort] = [await freePort(), await freePort()]
  const { spec } = platform.services.fleet
  const second = new SupervisedProcess({
    ...spec,
    name: 'fleet-2',
    env: {
      ...spec.env,
      FLEET_PORT: String(port),
      FLEET_ENROL_PORT: String(enrolPort),
      FLEET_CA_FILE: join(dir, 'fleet-2-ca.pem'),
    },
    logFile: join(platform.logsDir, 'fleet-2.log'),
  })
  closers.push(() => second.stop())
  await second.start()
  const instances: [Instance, Instance] = [
    { process: platform.services.fleet, port: Number(spec.env.FLEET_PORT) },
    { process: second, port },
  ]
  const [workload, credential, path] = [`farm-${id}`, `farm-key-${id}`, `e2e/${id}/farm`]
  await control.configure([workloadOf(workload)], true)
  const { enrolUrl, caFile } = platform.fleet
  const about = { control, instances, enrolUrl, caFile, workload, credential, dir }
  const fleet = await PlayedFleet.start({ ...about, vaultAddr: servers.vaultAddr }, SIZE.nodes)
  closers.push(() => fleet.end())
  await control.configure([credentialOf({ workload, credential, path, places: fleet.places })], true)
  expect(await rekey.ended(`${credential}-g1`)).toBe('closed')
  const readers = readersOf(servers, { path, region: servers.awsRegion })
  closers.push(async () => readers.close())
  return { rekey, fleet, credential, readers }
}

const credentialOf = (about: { workload: string; credential: string; path: string; places: Place[] }) => ({
  apiVersion: 'rekey.dev/v1',
  kind: 'Credential',
  metadata: { name: about.credential },
  spec: {
    workload: about.workload,
    purpose: 'api-key',
    direction: 'inbound',
    authority: {
      kind: 'nodes',
      endpoints: about.places.map(({ port, name }) => ({
        name,
        url: `http://127.0.0.1:${port}/${name}/v1/models`,
      })),
    },
    stores: [{ name: 'vault', kind: 'vault-kv', mount: 'secret', path: about.path }],
    rollout: {
      waves: [1, '20%', '100%'],
      settleMs: 0,
      quietMs: 300,
      readerCacheMs: 500,
      waveDeadlineMs: 6_000,
      drainCapMs: 60_000,
      evidenceMs: 10_000,
    },
  },
})

/** Clients of every node: what the store shows is presented at each that serves, all the time. */
function startReaders(fleet: PlayedFleet, read: Awaited<ReturnType<typeof stage>>['readers']['vault']) {
  const stopping = new AbortController()
  const running = (async () => {
    while (!stopping.signal.aborted) {
      const shown = await read().catch(() => 'no answer' as const)
      if (shown === 'no answer') continue
      if (shown) fleet.knock(shown.value, shown.generation)
      else fleet.refusals.push('the store showed nothing')
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
  })()
  return async () => {
    stopping.abort()
    await running
  }
}

/** Somebody who finds a rotation held, looks which node it waits for, and says that this one is gone. */
async function sayGone(control: ControlClient, rotation: string, gone: string): Promise<void> {
  await vi.waitFor(
    async () => {
      const { outcome, holds, nodes } = await control.rotation(rotation)
      expect({
        outcome,
        held: holds.some(({ reason }) => reason === 'wave_deadline'),
        state: nodes.find(({ node }) => node === gone)?.state,
      }).toEqual({ outcome: null, held: true, state: 'lost' })
    },
    { timeout: 60_000, interval: 200 },
  )
  await control.declareGone(gone, 'its host was taken back')
}

test(`a fleet goes on through rotations while nodes and instances die, seed ${SEED}`, async () => {
  const { rekey, fleet, credential, readers } = await stage()
  const { control } = rekey
  await vi.waitFor(() => expect(fleet.present.every(({ isReady }) => isReady)).toBe(true), {
    timeout: 60_000,
    interval: 100,
  })
  const stop = startReaders(fleet, readers.vault)
  const acts = script(SEED, SIZE)
  const seen = new Set<string>()
  const said: string[] = []
  let last = 1
  let carried: Blow[] = []

  try {
    for (let round = 0; round < acts.length || carried.length > 0; round++) {
      const blows = [...carried, ...(acts[round]?.blows ?? [])]
      carried = []
      const old = await readers.vault()
      const generation = ++last
      const happening: Promise<void>[] = []
      const happen = (work: Promise<void>) => {
        happening.push(work)
        // It is waited for below; what ends the test first need not hear of it.
        work.catch(() => undefined)
      }
      const began = blows.filter(({ at }) => at === 'RotationOpened')
      const strike = async ({ fault, whom, at }: Blow) => {
        const node = await fleet.befall(fault, whom, generation)
        said.push(`generation ${generation}, ${at}: ${fault} (${node})`)
        seen.add(fault)
        if (fault === 'gone for good') happen(sayGone(control, `${credential}-g${generation}`, node))
      }
      for (const blow of began) await strike(blow)
      const { rotation } = await control.rotate(credential, 'the script')
      const waiting = new Set(blows.filter((blow) => !began.includes(blow)))
      const watching = (async () => {
        for await (const watched of control.watch(rotation)) {
          if (watched.type === 'end') return
          if (watched.entry.type === 'SuccessorAbandoned') fleet.mend()
          for (const blow of waiting)
            if (blow.at === watched.entry.type) {
              waiting.delete(blow)
              happen(strike(blow))
            }
        }
      })()
      const end = await rekey.ended(rotation, SIZE.withinMs)
      await watching
      await Promise.all(happening)
      carried = [...waiting]
      const refused = blows.some(({ fault }) => fault === 'refuses')
      expect(end, said.join('\n')).toBe(refused ? 'rolled-back' : 'closed')

      // Whoever is left holds exactly what the store shows, and nobody takes what is dead.
      const shown = await readers.vault()
      const final = refused ? old : shown
      expect(shown?.generation).toBe(refused ? old?.generation : generation)
      await vi.waitFor(
        () => {
          for (const { node, isReady, door } of fleet.present)
            expect({ node, isReady, accepts: [...door.accepted.values()] }).toEqual({
              node,
              isReady: true,
              accepts: [final?.generation],
            })
        },
        { timeout: 30_000, interval: 100 },
      )
      if (old && !refused) expect(fleet.takers(old.value)).toEqual([])
      for (const { door } of fleet.present) door.slowMs = 0
    }
    await stop()
    expect(fleet.refusals).toEqual([])
    expect(fleet.knocks).toBeGreaterThan(1_000)
    expect([...seen].sort()).toEqual([...FAULTS].sort())
    // A proof of a session that is over was said twice each time: with that session's number, and with the new one's.
    const logs = ['fleet.log', 'fleet-2.log']
      .map((name) => readFileSync(join(rekey.platform.logsDir, name), 'utf8'))
      .join('\n')
    expect(logs.split('"fault":"wrong_session"').length - 1).toBeGreaterThanOrEqual(fleet.replayed)
    process.stderr.write(
      `fleet: ${fleet.present.length} nodes, ${fleet.knocks} requests, 0 refused\n  ${said.join('\n  ')}\n`,
    )
  } catch (error) {
    const refusals = fleet.refusals.slice(0, 10).join('; ')
    throw new Error(
      `FLEET_SEED=${SEED} replays it. Befallen: ${said.join('; ')}. Refusals: ${refusals || 'none'}`,
      {
        cause: error,
      },
    )
  } finally {
    await stop()
  }
}, 3_600_000)
