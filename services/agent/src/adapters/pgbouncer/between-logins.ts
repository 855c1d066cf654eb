import { setTimeout as pause } from 'node:timers/promises'
import type { Ask, Row } from './console.ts'
import { settingOf } from './databases.ts'

/** How long a change waits for logins that are under way. */
const LOGINS_MS = 500
const SIZE = 'default_pool_size'

/**
 * Gives a command that makes PgBouncer part with its connections to the server, at a moment when none of them is logging in.
 * One that is ended in the middle of its login counts as a failed one, and for that PgBouncer turns clients away until
 * `server_login_retry` is over. So for some milliseconds the pool may not grow: no login begins, and those under way end. Should
 * we die meanwhile, the pool has the size that it has now, until the next RELOAD. Where logins never cease, as when the old
 * login is dead, the command is given anyway.
 */
export async function betweenLogins(ask: Ask, database: string, command: string): Promise<void> {
  const size = settingOf(await ask('SHOW CONFIG'), SIZE)
  const present = String(Math.max(1, connectionsOf(await ask('SHOW POOLS'), database)))
  await ask(`SET ${SIZE} = ${present}`)
  try {
    const end = performance.now() + LOGINS_MS
    while (loginsOf(await ask('SHOW POOLS'), database) > 0 && performance.now() < end) await pause(2)
    await ask(command)
  } finally {
    // RELOAD may have read another one by now.
    if (settingOf(await ask('SHOW CONFIG'), SIZE) === present) await ask(`SET ${SIZE} = ${size}`)
  }
}

const CONNECTIONS = ['sv_active', 'sv_idle', 'sv_used', 'sv_tested', 'sv_login']

const connectionsOf = (pools: Row[], database: string) => sumOf(pools, database, CONNECTIONS)
const loginsOf = (pools: Row[], database: string) => sumOf(pools, database, ['sv_login'])

function sumOf(pools: Row[], database: string, columns: string[]): number {
  const counts = pools
    .filter((pool) => pool.database === database)
    .flatMap((pool) => columns.map((column) => Number(pool[column] ?? 0)))
  return counts.reduce((sum, count) => sum + count, 0)
}
