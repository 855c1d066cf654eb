import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RekeyError } from '@rekey/contracts'
import { type Ledger, migrate, openLedger } from '@rekey/ledger'
import { createLogger } from '@rekey/runtime'
import pg from 'pg'
import { Cpu } from '../cpu.ts'
import type { Servers } from '../servers.ts'
import { startAudit } from './audit.ts'
import { Child } from './child.ts'
import { Closings } from './closings.ts'
import { type CredentialNames, credentialOf, namesOf, workloadOf } from './documents.ts'
import type { FromRotator, ToRotator } from './messages.ts'
import { Nodes } from './nodes.ts'

export type WorldOptions = {
  servers: Servers
  credentials: number
  nodesEach: number
  rollout?: object
  /** Tells when acts begin. */
  onAct?: (message: FromRotator) => void
  /** Secrets Manager's quota; none by default. */
  awsWritesPerS?: number
  /** How long each write to a store takes; none by default. */
  storeMs?: number
  /** Options of node for the services, such as a profiler's. */
  execArgv?: readonly string[]
}

/** The ledger on real PostgreSQL, real conductor and rotator, stores in memory, nodes that do what they are told. */
export type World = {
  ledger: Ledger
  pool: pg.Pool
  credentials: CredentialNames[]
  cpu: Cpu
  /** Tells the ledger of a change and resolves when the rotation that it opens has ended. */
  rotate(credential: CredentialNames): Promise<void>
  closed(rotation: string): Promise<void>
  /** From now on what is due is taken from the ledger. */
  stopConductor(): Promise<void>
  close(): Promise<void>
}

const service = (name: string) => new URL(`../../../services/${name}/src/main.ts`, import.meta.url)

/** Each change has a zone that none had before. */
let changes = 0

export async function startWorld(options: WorldOptions): Promise<World> {
  const { servers, nodesEach } = options
  const closers: (() => Promise<unknown>)[] = []
  const close = async () => {
    for (const end of closers.splice(0).reverse()) await end()
  }
  try {
    const url = await servers.createDatabase()
    await migrate(url)
    const dir = await mkdtemp(join(tmpdir(), 'rekey-bench-'))
    closers.push(() => rm(dir, { recursive: true, force: true }))
    const logger = createLogger({ service: 'bench' })
    logger.level = 'warn'
    const ledger = openLedger({ url, name: 'bench' })
    const pool = new pg.Pool({ connectionString: url, max: 2 })
    pool.on('error', () => undefined)
    closers.push(
      () => ledger.close(),
      () => pool.end(),
    )

    const roleFile = join(dir, 'role')
    await writeFile(roleFile, 'bench')
    const env = { DATABASE_URL: url, REDIS_URL: servers.redisUrl, LOG_LEVEL: 'warn' }
    const child = (name: string, more: Record<string, string> = {}, preload?: URL) => {
      const { execArgv = [] } = options
      const logFile = join(dir, `${name}.log`)
      const made = new Child({
        name,
        main: service(name),
        env: { ...env, ...more },
        logFile,
        execArgv,
        ...(preload && { preload }),
      })
      closers.push(() => made.stop())
      return made
    }
    const rotator = child(
      'rotator',
      {
        VAULT_ADDR: 'http://127.0.0.1:1',
        VAULT_ROLE_ID_FILE: roleFile,
        VAULT_SECRET_ID_FILE: roleFile,
        PROBER_VAULT_ROLE_ID_FILE: roleFile,
        PROBER_VAULT_SECRET_ID_FILE: roleFile,
        ...(options.onAct && { BENCH_TELL_ACTS: 'yes' }),
        ...(options.awsWritesPerS && { BENCH_AWS_WRITES_PER_S: String(options.awsWritesPerS) }),
        ...(options.storeMs && { BENCH_STORE_MS: String(options.storeMs) }),
      },
      new URL('memory-rotator.ts', import.meta.url),
    )
    if (options.onAct) rotator.onMessage<FromRotator>(options.onAct)
    const conductor = child('conductor')
    const children = [rotator, conductor]

    const nodes = new Nodes({
      ledger,
      redisUrl: servers.redisUrl,
      logger,
      onRefused: (keyIds) => rotator.send({ refuse: keyIds } satisfies ToRotator),
    })
    closers.push(() => nodes.close())
    const audit = startAudit(ledger, logger)
    closers.push(() => audit.close())
    const closings = new Closings(ledger, pool, logger)
    closers.push(() => closings.close())

    const check = () => {
      for (const one of children) one.check()
      nodes.check()
    }
    const closed = (rotation: string) => untilClosed(rotation, closings, check)
    const credentials = Array.from({ length: options.credentials }, (_, i) => namesOf(i, nodesEach))
    await enrol(ledger, nodes, credentials)
    const documents = credentials.flatMap((names) => credentialOf(names, options.rollout))
    const applied = await ledger.configure(documents, { apply: true, actor: 'bench' })
    // The first values; and by then every process is up and warm.
    await Promise.all(applied.map((change) => change.rotation && closed(change.rotation)))
    return {
      ledger,
      pool,
      credentials,
      closed,
      stopConductor: () => conductor.stop(),
      cpu: new Cpu([
        ...children.map(({ name, pid }) => ({ name, pid })),
        { name: 'nodes, auditor and driver', pid: process.pid },
        ...(await servers.processes()),
      ]),
      async rotate({ workload }) {
        changes++
        const event = {
          source: 'bench',
          id: `event-${changes}`,
          digest: `digest-${changes}`,
          emitter: 'bench',
          change: { type: 'zonechanged', workload, facts: { zone: `zone-${changes}` } },
        } as const
        const { rotations } = await patiently(() => ledger.receive(event))
        await Promise.all(rotations.map(({ rotation }) => closed(rotation)))
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** As intake does: where the ledger cannot be asked now, the event is judged later. */
async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await ask()
    } catch (error) {
      if (tries === 10 || !(RekeyError.is(error) && error.retryable)) throw error
      await new Promise((resolve) => setTimeout(resolve, 200 * tries))
    }
  }
}

const STUCK_MS = 300_000

async function untilClosed(rotation: string, closings: Closings, check: () => void): Promise<void> {
  let watch: NodeJS.Timeout | undefined
  const startedAt = performance.now()
  const stuck = new Promise<never>((_, reject) => {
    watch = setInterval(() => {
      try {
        check()
        if (performance.now() - startedAt > STUCK_MS)
          throw new Error(`${rotation} has not ended after ${STUCK_MS / 1_000} s`)
      } catch (error) {
        reject(error)
      }
    }, 1_000)
  })
  try {
    await Promise.race([closings.of(rotation), stuck])
  } finally {
    clearInterval(watch)
  }
}

/** Nodes first, so that the first values are proved by them. */
async function enrol(ledger: Ledger, nodes: Nodes, credentials: CredentialNames[]): Promise<void> {
  await ledger.configure(credentials.map(workloadOf), { apply: true, actor: 'bench' })
  const waiting = credentials.flatMap(({ workload, nodes: names }) =>
    names.map((node) => ({ node, workload })),
  )
  const joinAll = async () => {
    for (let next = waiting.pop(); next; next = waiting.pop()) await nodes.join(next.node, next.workload)
  }
  await Promise.all(Array.from({ length: 8 }, joinAll))
}
