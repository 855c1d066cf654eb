import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ControlClient } from '@rekey/cli'
import { Secret } from '@rekey/contracts'
import { ensureHaproxy, freePort } from '@rekey/local'
import {
  SupervisedProcess,
  startAgent,
  startGateway,
  startModelEndpoint,
  startPlatform,
} from '@rekey/platform'
import { packetsOf } from '../agent/packets.ts'
import type { Bench } from '../bench.ts'
import { Cpu, residentBytes } from '../cpu.ts'
import { untilClosed } from '../nodes/closed.ts'
import { startVault } from '../nodes/vault.ts'
import type { Figure } from '../report.ts'
import { digits, median, spread } from '../statistics.ts'

/** What is promised: of memory, megabytes; of the processor, seconds an hour. */
const GOAL = { mb: 60, cpuSPerHour: 18 }
const CREDENTIAL = 'idle-key'
const WORKLOAD = 'idle'

/** `NODE_OPTIONS` and the compiled code of the start before, as examples/systemd has them. */
const UNIT = { NODE_OPTIONS: '--max-semi-space-size=1' }

type Spec = SupervisedProcess['spec']
type Idle = { mb: number; cpuMsPerHour: number; packets: number | undefined; connections: number }

/** A node's agent that has nothing to do: memory, processor time and packets, beside a process with the bare session. */
export async function agent({ servers, quick, runs, say }: Bench): Promise<Figure> {
  const idleS = quick ? 1 : 60
  const vault = await startVault((line) => say(`agent: ${line}`))
  const dir = await mkdtemp(join(tmpdir(), 'rekey-bench-'))
  const closers: (() => Promise<unknown>)[] = [
    () => vault.stop(),
    () => rm(dir, { recursive: true, force: true }),
  ]
  try {
    const platform = await startPlatform({
      servers: {
        kafkaBrokers: [],
        redisUrl: `${servers.redisUrl}/15`,
        postgresUrl: await servers.createDatabase(),
        vaultAddr: vault.addr,
        awsEndpoint: '',
        awsRegion: '',
        identitiesDir: vault.identitiesDir,
      },
      dir,
      ports: { control: await freePort(), fleet: await freePort(), enrol: await freePort() },
      leaveOut: ['auditor', 'intake'],
    })
    closers.push(() => platform.stop())
    const token = Secret.of(readFileSync(platform.control.tokenFile, 'utf8').trim())
    const control = new ControlClient({ url: platform.control.url, token, actor: 'bench' })
    const model = await startModelEndpoint()
    closers.push(() => model.close())
    const port = await freePort()
    await control.configure(documents(port), true)
    const joinToken = async (node: string) => (await control.createNodeToken(node, WORKLOAD, 600_000)).token
    const about = { dir, fleet: platform.fleet, vaultAddr: vault.addr }
    const gateway = await startGateway({
      ...about,
      name: 'idle-1',
      credential: CREDENTIAL,
      port,
      modelPort: model.port,
      haproxy: await ensureHaproxy(),
      joinToken: await joinToken('idle-1'),
    })
    closers.push(() => gateway.stop())
    await untilClosed(control, `${CREDENTIAL}-g1`)
    // Its agent only enrols; the bare session takes its place.
    const bareDir = join(dir, 'idle-2')
    const enroller = await startAgent({
      ...about,
      name: 'idle-2',
      dir: bareDir,
      joinToken: await joinToken('idle-2'),
      adapters: [{ credential: 'none', kind: 'file', path: join(bareDir, 'none'), format: 'plain' }],
    })
    await enroller.stop()
    await gateway.agent.stop()

    const agentSpec: Spec = { ...gateway.agent.spec, logFile: join(dir, 'agent.log') }
    const bareSpec: Spec = {
      name: 'bare',
      main: new URL('../agent/bare.ts', import.meta.url),
      env: { FLEET_URL: platform.fleet.url, BARE_DIR: join(bareDir, 'state') },
      logFile: join(dir, 'bare.log'),
      ready: /connected/,
    }
    const measured = async (spec: Spec, env: Record<string, string>, forS = idleS) => {
      const process = new SupervisedProcess({ ...spec, env: { ...spec.env, ...env } })
      await process.start()
      try {
        // What it does at its start is over, and what it left is collected or stays.
        await delay(quick ? 100 : 5_000)
        return await idle(process.pid ?? 0, forS)
      } finally {
        await process.stop()
      }
    }
    const kept = (name: string) => ({ ...UNIT, NODE_COMPILE_CACHE: join(dir, `compiled-${name}`) })
    const found = { unit: [] as Idle[], plain: [] as Idle[], bare: [] as Idle[] }
    // The starts that compile, for the ones that find it compiled.
    await measured(bareSpec, kept('bare'), 1)
    await measured(agentSpec, kept('agent'), 1)
    for (let run = 1; run <= runs; run++) {
      say(`agent: run ${run} of ${runs}, each of three idles for ${idleS} s`)
      found.bare.push(await measured(bareSpec, kept('bare')))
      found.unit.push(await measured(agentSpec, kept('agent')))
      found.plain.push(await measured(agentSpec, {}))
    }
    return figureOf(found, idleS)
  } finally {
    for (const close of closers.reverse()) await close()
  }
}

async function idle(pid: number, seconds: number): Promise<Idle> {
  const cpu = new Cpu([{ name: 'it', pid }])
  const before = packetsOf(pid)
  cpu.lap()
  await delay(seconds * 1_000)
  const after = packetsOf(pid)
  const sum = (counts: Map<number, number>) => [...counts.values()].reduce((all, one) => all + one, 0)
  return {
    mb: (residentBytes(pid) ?? Number.NaN) / 2 ** 20,
    cpuMsPerHour: ((cpu.lap().get('it') ?? Number.NaN) * 1_000 * 3_600) / seconds,
    packets: before && after && ((sum(after) - sum(before)) * 60) / seconds,
    connections: after?.size ?? 0,
  }
}

function figureOf(found: { unit: Idle[]; plain: Idle[]; bare: Idle[] }, idleS: number): Figure {
  const row = (title: string, runs: Idle[]) => [
    title,
    spread(runs.map(({ mb }) => mb)),
    spread(runs.map(({ cpuMsPerHour }) => cpuMsPerHour / 1_000)),
    runs.some(({ packets }) => packets === undefined)
      ? 'unknown'
      : spread(runs.map(({ packets }) => packets ?? 0)),
    spread(runs.map(({ connections }) => connections)),
  ]
  const middle = (runs: Idle[], pick: (one: Idle) => number) => median(runs.map(pick))
  const ratio = (pick: (one: Idle) => number) => {
    const floor = middle(found.bare, pick)
    return floor > 0 ? digits(middle(found.unit, pick) / floor) : 'unknown'
  }
  const isMet = (met: boolean) => (met ? 'met' : 'not met')
  return {
    name: 'agent',
    floor:
      'a process with the same TLS WebSocket to the same fleet, which answers heartbeats and does nothing else',
    tables: [
      {
        title: `one agent with HAProxy, nothing to do for ${idleS} s`,
        columns: ['', 'MB resident', 'processor s an hour', 'packets a minute', 'connections'],
        rows: [
          row('as examples/systemd starts it, not for the first time', found.unit),
          row('floor, started in the same way', found.bare),
          [
            'ours ÷ floor',
            ratio(({ mb }) => mb),
            ratio(({ cpuMsPerHour }) => cpuMsPerHour),
            ratio(({ packets }) => packets ?? 0),
            '',
          ],
          row('started by hand: it compiles, and keeps the compiler', found.plain),
          [
            `goal: ${GOAL.mb} MB, ${GOAL.cpuSPerHour} s an hour (0.5 %)`,
            isMet(middle(found.unit, ({ mb }) => mb) <= GOAL.mb),
            isMet(middle(found.unit, ({ cpuMsPerHour }) => cpuMsPerHour / 1_000) <= GOAL.cpuSPerHour),
            '',
            '',
          ],
        ],
      },
    ],
    notes: [
      'packets of TCP both ways, acknowledgements too, on its connections: heartbeats each 5 s, counters at least each 5 s; nothing is asked of Vault',
      'the gateway is asked over its socket each second, which is most of the processor time',
    ],
  }
}

const apiVersion = 'rekey.dev/v1'
const documents = (port: number) => [
  {
    apiVersion,
    kind: 'Workload',
    metadata: { name: WORKLOAD },
    spec: {
      spiffeId: `spiffe://example.org/${WORKLOAD}`,
      environment: 'prod',
      owner: 'team-bench',
      zone: 'a',
    },
  },
  {
    apiVersion,
    kind: 'Credential',
    metadata: { name: CREDENTIAL },
    spec: {
      workload: WORKLOAD,
      purpose: 'api-key',
      direction: 'inbound',
      authority: {
        kind: 'nodes',
        endpoints: [{ name: 'idle-1', url: `http://127.0.0.1:${port}/v1/models` }],
      },
      stores: [{ name: 'vault', kind: 'vault-kv', path: 'bench/idle-key' }],
      rollout: { settleMs: 0, quietMs: 0, readerCacheMs: 0 },
    },
  },
]
