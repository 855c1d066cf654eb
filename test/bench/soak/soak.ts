import { setTimeout as delay } from 'node:timers/promises'
import { nowMs } from '../../fleet/clock.ts'
import { Random } from '../../simulation/random.ts'
import { startVault } from '../nodes/vault.ts'
import type { Servers } from '../servers.ts'
import { type Killed, type Planned, plannedKills } from './kills.ts'
import type { LoadSeen } from './load.ts'
import { type Stage, setStage } from './stage.ts'

export type SoakOptions = {
  /** At least so many, at so many a second, and at least so many rollovers meanwhile. */
  requests: number
  rate: number
  rollovers: number
  seed: number
  say: (line: string) => void
}

export type Rollover = {
  seconds: number
  /** How the rotation ended; undefined: it had not within five minutes. */
  outcome: string | undefined
  /** What each gateway answered to the old key afterwards. */
  old: { gateway: string; status: number }[]
}

export type SoakSeen = { load: LoadSeen; rollovers: Rollover[]; killed: Killed[] }

/** How long a client may present a value that it read, which the configuration is told, and when it reads again. */
const READER = { cacheMs: 1_000, refreshMs: 400 }
export const CLIENTS = 16
export const STREAMS = 20
/** A drain waits for each stream, so a rollover takes at least as long as one. */
export const STREAM_MS = 2_000
const KILL_WITHIN_MS = 4_000
const WARM_UP_MS = 2_000
const CLOSED_MS = 300_000
const FLOOR_SHARE = 0.1
const FLOOR_S_MIN = 2

export async function runSoak(servers: Servers, options: SoakOptions): Promise<SoakSeen> {
  const { rate, requests, say } = options
  const vault = await startVault(say, true)
  try {
    const stage = await setStage(servers, vault, { readerCacheMs: READER.cacheMs }, say)
    try {
      await untilFirstValue(stage)
      await stage.load('start', {
        port: stage.front.port,
        rate,
        clients: CLIENTS,
        ...READER,
        streams: STREAMS,
        streamMs: STREAM_MS,
        vault: stage.readers,
      })
      await delay(WARM_UP_MS)
      const floorS = Math.max(FLOOR_S_MIN, (requests / rate) * FLOOR_SHARE)
      say(`the floor: ${rate} requests a second for ${Math.round(floorS)} s, and nothing else happens`)
      await stage.load('phase', 'floor')
      await delay(floorS * 1_000)
      return await rolling(stage, options)
    } finally {
      await stage.close()
    }
  } finally {
    await vault.stop()
  }
}

/** Clients begin when the first value is everywhere. */
async function untilFirstValue({ control, credential, nodes }: Stage): Promise<void> {
  const end = performance.now() + 60_000
  for (;;) {
    const seen = await control.rotation(`${credential}-g1`)
    const proved = seen.nodes.filter((node) => node.proved.includes(1))
    if (proved.length === nodes.length && (await control.credential(credential)).openRotation === null) return
    if (performance.now() > end) throw new Error('the first value is not everywhere after a minute')
    await delay(100)
  }
}

async function rolling(stage: Stage, options: SoakOptions): Promise<SoakSeen> {
  const { rate, requests, rollovers: wanted, seed, say } = options
  const plan = plannedKills(new Random(seed), wanted, KILL_WITHIN_MS)
  const rollovers: Rollover[] = []
  const killed: Killed[] = []
  const { due: before } = await stage.load('phase', 'between')
  const began = nowMs()
  const everyMs = ((requests / rate) * 1_000) / wanted
  for (const [at, planned] of plan.entries()) {
    await delay(Math.max(0, began + at * everyMs - nowMs()))
    const rollover = await roll(stage, planned, killed)
    rollovers.push(rollover)
    const { due, failed, again } = await stage.load('counts', undefined)
    say(
      `${at + 1} of ${wanted}: ${rollover.outcome ?? 'not closed'} in ${rollover.seconds.toFixed(1)} s, killed: ${planned.map(({ kill }) => kill).join(', ')}; ` +
        `${due - before} requests, ${failed} failed, ${again} answered at a second try`,
    )
    if (rollover.outcome === undefined) break
  }
  while ((await stage.load('counts', undefined)).due - before < requests) await delay(100)
  return { load: await stage.load('finish', undefined), rollovers, killed }
}

/** One rotation, from its order to the old key that is refused; meanwhile something is killed. */
async function roll(stage: Stage, planned: Planned[], killed: Killed[]): Promise<Rollover> {
  const old = await stage.current()
  if (!old) throw new Error('the store shows no value')
  await stage.load('phase', 'rollover')
  const began = nowMs()
  const { rotation } = await stage.control.rotate(stage.credential, 'the soak rolls on')
  const killing = (async () => {
    for (const { kill, afterMs } of planned) {
      await delay(afterMs)
      const atMs = nowMs()
      await stage.kill(kill)
      killed.push({ kill, atMs, backAtMs: nowMs() })
    }
  })()
  // Awaited below, and not unheard until then.
  killing.catch(() => {})
  const outcome = await closed(stage, rotation)
  const seconds = (nowMs() - began) / 1_000
  await killing
  await stage.load('phase', 'between')
  return { seconds, outcome, old: await stage.knock(old.value) }
}

/** By asking now and then. Control may be dead for a moment. */
async function closed({ control }: Stage, rotation: string): Promise<string | undefined> {
  const end = nowMs() + CLOSED_MS
  let after = 0
  while (nowMs() < end) {
    const entries = await control.journal(rotation, after).catch(() => [])
    const last = entries.find(({ type }) => type === 'RotationClosed')
    if (last) return String(last.data.outcome)
    after = entries.at(-1)?.position ?? after
    await delay(150)
  }
  return undefined
}
