import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'
import { Redis } from 'ioredis'
import pg from 'pg'
import type { Servers } from './servers.ts'
import { digits, median } from './statistics.ts'

/** Where and when something was measured. */
export type Machine = {
  date: string
  cores: number
  processor: string
  memoryGiB: number
  node: string
  postgres: string
  postgresSettings: Record<string, string>
  redis: string
  /** Of the last minute, before the run: above the number of cores others were at work too. */
  load: number
  /** What a commit waits for: PostgreSQL's log written and synced, one row at a time. */
  commitMs: number
  /** Processor time of a fixed loop. A busy neighbour makes it longer, and every other processor time with it. */
  loopMs: number
}

const SETTINGS = ['fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers', 'max_wal_size']

export async function lookAtMachine(servers: Servers): Promise<Machine> {
  const client = new pg.Client({ connectionString: servers.postgresUrl })
  await client.connect()
  const { rows: version } = await client.query('show server_version')
  const { rows: settings } = await client.query(
    'select name, setting, unit from pg_settings where name = any($1)',
    [SETTINGS],
  )
  const commitMs = await commitTime(client)
  await client.end()
  const redis = new Redis(servers.redisUrl, { protocol: 2 })
  const info = await redis.info('server')
  redis.disconnect()
  return {
    date: new Date().toISOString(),
    cores: availableParallelism(),
    processor: cpus()[0]?.model ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    postgres: version[0].server_version,
    postgresSettings: Object.fromEntries(
      settings.map(({ name, setting, unit }) => [name, unit === null ? setting : `${setting} × ${unit}`]),
    ),
    redis: /valkey_version:(\S+)/.exec(info)?.[1] ?? /redis_version:(\S+)/.exec(info)?.[1] ?? 'unknown',
    load: loadavg()[0] ?? Number.NaN,
    commitMs,
    loopMs: loopTime(),
  }
}

export function machineLine(machine: Machine): string {
  const { date, cores, processor, memoryGiB, node, postgres, redis, load, commitMs, loopMs } = machine
  const settings = Object.entries(machine.postgresSettings).map(([name, value]) => `${name} ${value}`)
  return [
    `${date.slice(0, 16).replace('T', ' ')} UTC, ${cores} cores (${processor}), ${memoryGiB} GiB, node ${node}, PostgreSQL ${postgres} (${settings.join(', ')}), Valkey/Redis ${redis}`,
    `load before: ${load.toFixed(1)}; one commit: ${digits(commitMs)} ms; fixed loop: ${digits(loopMs)} ms of processor time`,
  ].join('\n')
}

async function commitTime(client: pg.Client): Promise<number> {
  const times: number[] = []
  // A message in the log changes no table, and its commit waits for the disk as any other.
  for (let i = 0; i < 100; i++) {
    const startedAt = performance.now()
    await client.query("select pg_logical_emit_message(true, 'bench', 'commit')")
    times.push(performance.now() - startedAt)
  }
  return median(times)
}

/** In processor time, because waiting for a turn is the load's business. */
function loopTime(): number {
  const before = process.cpuUsage()
  let x = 1
  for (let i = 0; i < 2e8; i++) x = (x * 1_103_515_245 + 12_345) & 0x7fffffff
  const { user, system } = process.cpuUsage(before)
  // Used, so that it is not left out.
  return (user + system) / 1_000 + (x < 0 ? 1 : 0)
}
