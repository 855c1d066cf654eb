import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureNginx, freePort } from '@rekey/local'
import { stringify } from 'yaml'
import { isServed } from '../src/unix-socket.ts'
import { accepts, filledIn, type Gateway, restartable, startModel } from './gateway.ts'
import { AGENT } from './process.ts'

const EXAMPLE = new URL('../../../examples/nginx/gateway.conf.template', import.meta.url).pathname
/** Long for a request here, and short enough to be waited for. */
export const LONGEST_MS = 3_000

type AuthorizerProcess = Awaited<ReturnType<typeof authorizerIn>>
export type Nginx = Gateway & { authorizers: AuthorizerProcess[] }

/** The example's NGINX on free ports, and the two authorizers that it asks. */
export async function startNginx(): Promise<Nginx> {
  const binary = await ensureNginx()
  const dir = await mkdtemp(join(tmpdir(), 'rekey-ngx-'))
  // Workers may run as a user of their own, who must come to the sockets.
  await chmod(dir, 0o755)
  const model = await startModel()
  const port = await freePort()
  const authorizers = await Promise.all([1, 2].map((number) => authorizerIn(dir, number)))
  const [first, second] = authorizers
  const gateway = await filledIn(EXAMPLE, {
    GATEWAY_BIND: `127.0.0.1:${port}`,
    GATEWAY_UPSTREAM: model.address,
    CREDENTIAL: 'chat',
    AUTHORIZER_1: first?.socket ?? '',
    AUTHORIZER_2: second?.socket ?? '',
    ENDS_1: first?.ends ?? '',
    ENDS_2: second?.ends ?? '',
  })
  const config = join(dir, 'nginx.conf')
  await writeFile(config, wholeConfig(dir, gateway))
  const nginx = restartable(binary, ['-e', join(dir, 'error.log'), '-c', config], {}, () => accepts(port))
  const all = [...authorizers, nginx]
  const start = async () => {
    for (const server of all) await server.start()
  }
  const kill = async () => {
    await Promise.all(all.map((server) => server.kill()))
  }
  await start()
  const probeUrl = `http://127.0.0.1:${port}/v1/models`
  return {
    url: `http://127.0.0.1:${port}`,
    probeUrl,
    adapter: { kind: 'subrequest', authorizers: authorizers.map(({ adminSocket }) => adminSocket), probeUrl },
    authorizers,
    dir,
    start,
    kill,
    async restart() {
      await kill()
      await start()
    },
    async stop() {
      await kill()
      model.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

async function authorizerIn(dir: string, number: number) {
  const [socket, adminSocket] = [join(dir, `authorizer-${number}.sock`), join(dir, `admin-${number}.sock`)]
  const ends = `127.0.0.1:${await freePort()}`
  const config = join(dir, `authorizer-${number}.yaml`)
  const keysFile = `keys-${number}.json`
  await writeFile(config, stringify({ socket, adminSocket, ends, keysFile, longestMs: LONGEST_MS }))
  const args = [AGENT, 'authorizer', '--config', config]
  return { socket, adminSocket, ends, ...restartable(process.execPath, args, {}, () => isServed(socket)) }
}

/** One worker process, so that a kill ends all of it. */
const wholeConfig = (dir: string, gateway: string) => `
daemon off;
master_process off;
pid ${dir}/nginx.pid;
events { worker_connections 1024; }
http {
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${dir}/${kind};`).join('\n  ')}
${gateway}
}
`
