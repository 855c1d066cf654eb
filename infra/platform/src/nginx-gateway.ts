import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from '@rekey/local'
import { AGENT, type AgentSettings, startAgent } from './agent.ts'
import { GatewayServer } from './gateway-server.ts'
import { SupervisedProcess } from './process.ts'
import type { Platform } from './services.ts'

export type NginxGatewayOptions = {
  /** Node name, such as `gateway-2`. */
  name: string
  credential: string
  port: number
  modelPort: number
  dir: string
  nginx: string
  fleet: Platform['fleet']
  vaultAddr: string
  joinToken: string
  /** Longer than any request runs, streams included. */
  longestMs: number
  /** Extra settings of the agent. */
  agent?: AgentSettings
}

export type NginxGateway = {
  name: string
  url: string
  agent: SupervisedProcess
  authorizers: SupervisedProcess[]
  /** SIGKILL of NGINX and a new one, as after a crash. */
  restartNginx(): Promise<void>
  stop(): Promise<void>
}

const CONFIG = new URL('../../../examples/nginx/gateway.conf.template', import.meta.url)

/** A serving node: NGINX in front of the model endpoint, the two authorizers that it asks, and Rekey's agent. */
export async function startNginxGateway(options: NginxGatewayOptions): Promise<NginxGateway> {
  const { name, port, credential } = options
  const dir = join(options.dir, name)
  await mkdir(dir, { recursive: true })
  // Workers may run as a user of their own, who must come to the sockets.
  await chmod(dir, 0o755)
  const url = `http://127.0.0.1:${port}`
  const places = await Promise.all([1, 2].map((number) => placeOf(dir, number)))
  const authorizers = await Promise.all(
    places.map(async ({ config, settings }, at) => {
      await writeFile(config, JSON.stringify({ ...settings, longestMs: options.longestMs }))
      const authorizer = new SupervisedProcess({
        name: `${name}-authorizer-${at + 1}`,
        main: AGENT,
        args: ['authorizer', '--config', config],
        env: {},
        logFile: join(dir, `authorizer-${at + 1}.log`),
        ready: /the authorizer answers/,
      })
      await authorizer.start()
      return authorizer
    }),
  )
  const config = join(dir, 'nginx.conf')
  const [first, second] = places.map(({ settings }) => settings)
  await writeFile(
    config,
    wholeConfig(
      dir,
      filledIn(await readFile(CONFIG, 'utf8'), {
        GATEWAY_BIND: `127.0.0.1:${port}`,
        GATEWAY_UPSTREAM: `127.0.0.1:${options.modelPort}`,
        CREDENTIAL: credential,
        AUTHORIZER_1: first?.socket ?? '',
        AUTHORIZER_2: second?.socket ?? '',
        ENDS_1: first?.ends ?? '',
        ENDS_2: second?.ends ?? '',
      }),
    ),
  )
  const nginx = new GatewayServer({
    name: 'NGINX',
    command: options.nginx,
    args: ['-e', join(dir, 'error.log'), '-c', config],
    logFile: join(dir, 'nginx.log'),
    url,
  })
  await nginx.start()
  const agent = await startAgent({
    name,
    dir,
    fleet: options.fleet,
    vaultAddr: options.vaultAddr,
    joinToken: options.joinToken,
    adapters: [
      {
        credential,
        kind: 'subrequest',
        authorizers: places.map(({ settings }) => settings.adminSocket),
        probeUrl: `${url}/v1/models`,
      },
    ],
    ...(options.agent && { settings: options.agent }),
  })
  return {
    name,
    url,
    agent,
    authorizers,
    async restartNginx() {
      await nginx.end('SIGKILL')
      await nginx.start()
    },
    async stop() {
      await agent.stop()
      await nginx.end('SIGTERM')
      await Promise.all(authorizers.map((one) => one.stop()))
    },
  }
}

async function placeOf(dir: string, number: number) {
  const at = (file: string) => join(dir, file)
  return {
    config: at(`authorizer-${number}.json`),
    settings: {
      socket: at(`authorizer-${number}.sock`),
      adminSocket: at(`admin-${number}.sock`),
      ends: `127.0.0.1:${await freePort()}`,
      keysFile: at(`keys-${number}.json`),
    },
  }
}

/** As `envsubst` does. */
const filledIn = (template: string, values: Record<string, string>) =>
  template.replace(/\$\{([A-Z_0-9]+)\}/g, (all, name: string) => values[name] ?? all)

const TEMP_PATHS = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']

/** One process, so that a kill ends all of it. */
const wholeConfig = (dir: string, gateway: string) => `
daemon off;
master_process off;
pid ${dir}/nginx.pid;
events { worker_connections 4096; }
http {
  ${TEMP_PATHS.map((kind) => `${kind}_temp_path ${dir}/${kind};`).join('\n  ')}
${gateway}
}
`
