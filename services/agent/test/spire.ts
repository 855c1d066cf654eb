import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ensureSpire, freePort } from '@rekey/local'
import { restartable } from './gateway.ts'
import { until } from './until.ts'

const call = promisify(execFile)

export const TRUST_DOMAIN = 'prod.example'
/** What the entries of this host have as their parent. */
const HOST = `spiffe://${TRUST_DOMAIN}/host/gw-1`

/** SPIRE's server, and its agent of one host: real ones, which issue SVIDs to processes of this user. */
export async function startSpire(options: { databaseUrl: string }) {
  const { server, agent } = await ensureSpire((line) => process.stderr.write(`${line}\n`))
  const dir = await mkdtemp(join(tmpdir(), 'rekey-spire-'))
  const port = await freePort()
  const [serverSocket, agentSocket] = [join(dir, 'server.sock'), join(dir, 'agent.sock')]
  const bundleFile = join(dir, 'bundle.pem')
  const onServer = async (...args: string[]) =>
    (await call(server, [...args, '-socketPath', serverSocket])).stdout

  const serverConf = join(dir, 'server.conf')
  await writeFile(serverConf, serverConfiguration({ dir, port, socket: serverSocket, ...options }))
  const authority = restartable(server, ['run', '-config', serverConf], {}, () =>
    onServer('healthcheck').then(
      () => true,
      () => false,
    ),
  )
  await authority.start()

  const writeBundle = async () => writeFile(bundleFile, await onServer('bundle', 'show'))
  await writeBundle()
  const token = /Token: (\S+)/.exec(await onServer('token', 'generate', '-spiffeID', HOST))?.[1] ?? ''
  const agentConf = join(dir, 'agent.conf')
  await writeFile(agentConf, agentConfiguration({ dir, port, socket: agentSocket, bundleFile, token }), {
    mode: 0o600,
  })
  const host = restartable(agent, ['run', '-config', agentConf], {}, () =>
    call(agent, ['healthcheck', '-socketPath', agentSocket]).then(
      () => true,
      () => false,
    ),
  )
  await host.start()

  return {
    bundleFile,
    writeBundle,
    /** As docs and examples say: whatever runs as this user on this host is that node. */
    async register(spiffeId: string): Promise<void> {
      const entry = ['-parentID', HOST, '-spiffeID', spiffeId, '-selector', `unix:uid:${process.getuid?.()}`]
      await onServer('entry', 'create', ...entry, '-x509SVIDTTL', '600')
    },
    /** Writes svid.0.pem and svid.0.key. SPIRE's agent hears of an entry some seconds later. */
    async fetchSvid(folder: string): Promise<void> {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      await until('an SVID', () =>
        call(agent, ['api', 'fetch', 'x509', '-socketPath', agentSocket, '-write', folder]).then(
          () => true,
          () => false,
        ),
      )
    },
    /** SPIRE signs with another authority from now on, and replaces what the one before has signed. */
    async replaceAuthority(): Promise<void> {
      const act = (verb: string, ...args: string[]) => onServer('localauthority', 'x509', verb, ...args)
      const idIn = (text: string) => /Authority ID: (\S+)/.exec(text)?.[1] ?? ''
      const next = idIn(await act('prepare'))
      const old = idIn(await act('show'))
      await act('activate', '-authorityID', next)
      await act('taint', '-authorityID', old)
    },
    async stop() {
      await host.kill()
      await authority.kill()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

type Place = { dir: string; port: number; socket: string }

const serverConfiguration = ({ dir, port, socket, databaseUrl }: Place & { databaseUrl: string }) => `
server {
  bind_address = "127.0.0.1"
  bind_port = "${port}"
  socket_path = "${socket}"
  trust_domain = "${TRUST_DOMAIN}"
  data_dir = "${join(dir, 'server')}"
  log_file = "${join(dir, 'server.log')}"
}
plugins {
  DataStore "sql" {
    plugin_data {
      database_type = "postgres"
      connection_string = "${databaseUrl}?sslmode=disable"
    }
  }
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "memory" { plugin_data {} }
}
`

const agentConfiguration = (options: Place & { bundleFile: string; token: string }) => `
agent {
  server_address = "127.0.0.1"
  server_port = "${options.port}"
  socket_path = "${options.socket}"
  trust_domain = "${TRUST_DOMAIN}"
  trust_bundle_path = "${options.bundleFile}"
  data_dir = "${join(options.dir, 'agent')}"
  log_file = "${join(options.dir, 'agent.log')}"
  join_token = "${options.token}"
}
plugins {
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "memory" { plugin_data {} }
  WorkloadAttestor "unix" { plugin_data {} }
}
`
