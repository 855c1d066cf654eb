import { Complaint } from './complaint.ts'
import type { ServerName } from './server.ts'

/** The variable that names a running server. */
export const GIVEN: Record<ServerName, string> = {
  kafka: 'KAFKA_BROKERS',
  redis: 'REDIS_URL',
  postgres: 'DATABASE_URL',
  vault: 'VAULT_ADDR',
  aws: 'AWS_ENDPOINT_URL',
}

const LOOPBACK = new Set(['127.0.0.1', 'localhost', '::1'])

/** A shell may still name somebody's real servers, and a stack's owner migrates databases and makes identities in them. */
export function refuseOtherMachines(names: Iterable<ServerName>, env: NodeJS.ProcessEnv): void {
  if (env.REKEY_STACK_USE_ENV === 'yes') return
  for (const name of names) {
    const host = hostsOf(name, env).find((host) => !LOOPBACK.has(host) && !host.startsWith('/'))
    if (host === undefined) continue
    throw new Complaint(
      `${GIVEN[name]} names host ${host}, which is not this machine: unset it, or set REKEY_STACK_USE_ENV=yes to use it.`,
    )
  }
}

function hostsOf(name: ServerName, env: NodeJS.ProcessEnv): string[] {
  const given = env[GIVEN[name]] ?? ''
  if (name === 'kafka')
    return given
      .split(',')
      .filter(Boolean)
      .map((broker) => hostOf(`tcp://${broker.trim()}`))
  if (given === '') return []
  const host = hostOf(given)
  return [host === '' && name === 'postgres' ? (env.PGHOST ?? 'localhost') : host]
}

/** For PostgreSQL a parameter may name the host too, and wins; an absolute path is the folder of a socket. */
function hostOf(address: string): string {
  // Never the address itself: it may hold a password.
  if (!URL.canParse(address)) return '(unreadable)'
  const { hostname, searchParams } = new URL(address)
  return (searchParams.get('host') ?? decodeURIComponent(hostname)).toLowerCase().replace(/^\[(.*)\]$/, '$1')
}
