import { z } from 'zod'
import { type LocalServer, localRequest } from '../local-request.ts'
import { normalSerial } from './discovery-response.ts'

const StatsAnswer = z.object({
  stats: z.array(z.object({ name: z.string(), value: z.union([z.string(), z.number()]) })),
})
const CertificatesAnswer = z.object({
  certificates: z.array(
    z.object({ cert_chain: z.array(z.object({ serial_number: z.string() })).default([]) }),
  ),
})

/** What has become of the updates of a secret since Envoy's start. */
export type Updates = { rejected: number; unread: number }

/** http on loopback, or the path of a unix socket: Envoy's admin asks nobody who they are. */
export function isAdminAddress(address: string): boolean {
  if (!address.includes('://')) return true
  if (!URL.canParse(address)) return false
  const { protocol, hostname, pathname } = new URL(address)
  return protocol === 'http:' && pathname === '/' && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)
}

/**
 * What Envoy says of its secrets. `config_dump` is not asked: of a certificate that Envoy rejected it shows the version as the
 * active one, and of a value that stayed the same it shows the version that it had first.
 */
export function envoyAdmin(address: string) {
  const server = serverAt(address)

  async function ask<T>(schema: z.ZodType<T>, path: string): Promise<T> {
    const who = `Envoy's admin at ${address}`
    const answer = await localRequest(who, server, 'GET', path).catch((error: Error) => {
      throw new Error(`${error.message}; start Envoy, which reads the file itself, or correct \`admin\``)
    })
    const parsed = schema.safeParse(jsonOf(answer))
    if (!parsed.success) throw new Error(`${who}: the answer to GET ${path} is none of Envoy's`)
    return parsed.data
  }

  const stats = async (secret: string, type: string, names: string[]) => {
    const filter = `^sds\\.${secret.replaceAll('.', '\\.')}\\.(${names.join('|')})$`
    const path = `/stats?format=json&type=${type}&filter=${encodeURIComponent(filter)}`
    const { stats } = await ask(StatsAnswer, path)
    return new Map(stats.map(({ name, value }) => [name.slice(name.lastIndexOf('.') + 1), value]))
  }

  return {
    /** Of the last update that Envoy took; '' before the first one. Undefined: it has no such secret by SDS. */
    async version(secret: string): Promise<string | undefined> {
      return (await stats(secret, 'TextReadouts', ['version_text'])).get('version_text')?.toString()
    },
    async updates(secret: string): Promise<Updates> {
      const counted = await stats(secret, 'Counters', ['update_rejected', 'update_failure'])
      const count = (name: string) => Number(counted.get(name) ?? 0)
      return { rejected: count('update_rejected'), unread: count('update_failure') }
    },
    /** The certificates that listeners and clusters use now. */
    async serials(): Promise<Set<string>> {
      const { certificates } = await ask(CertificatesAnswer, '/certs')
      return new Set(
        certificates.flatMap(({ cert_chain }) => cert_chain.map((one) => normalSerial(one.serial_number))),
      )
    },
  }
}

function serverAt(address: string): LocalServer {
  if (!address.includes('://')) return { socketPath: address }
  const { hostname, port } = new URL(address)
  return { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(port || 80) }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
