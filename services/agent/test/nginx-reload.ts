import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureNginx, freePort } from '@rekey/local'
import { workersOf } from '../src/adapters/nginx-map/workers.ts'
import { processAt } from '../src/adapters/pid-file.ts'
import { accepts, filledIn, type Gateway, restartable, startModel } from './gateway.ts'
import { until } from './until.ts'

const EXAMPLE = new URL('../../../examples/nginx-reload/nginx.conf.template', import.meta.url).pathname
/** What the example says in seconds is short enough here to be waited for. */
const SHUTDOWN_MS = 2_000

export type ReloadedGateway = Gateway & {
  /** The same, for HTTP/2 without TLS. */
  http2Url: string
  shutdownMs: number
  /** Where its keys are. */
  keys(): Promise<string>
  /** How many serve, old ones that shut down included. */
  workers(): Promise<number>
  breakConfiguration(): Promise<void>
  mendConfiguration(): Promise<void>
}

/** The example's NGINX, on free ports. */
export async function startReloadedNginx(): Promise<ReloadedGateway> {
  const binary = await ensureNginx()
  const dir = await mkdtemp(join(tmpdir(), 'rekey-ngr-'))
  // Workers may run as a user of their own.
  await chmod(dir, 0o755)
  const model = await startModel()
  const [port, http2Port] = [await freePort(), await freePort()]
  const [config, path, pidFile] = [join(dir, 'nginx.conf'), join(dir, 'chat-key.map'), join(dir, 'nginx.pid')]
  const text = await filledIn(EXAMPLE, {
    GATEWAY_BIND: `127.0.0.1:${port}; listen 127.0.0.1:${http2Port} http2`,
    GATEWAY_UPSTREAM: model.address,
    RUN_DIR: dir,
    LOG_DIR: dir,
    SHUTDOWN_TIMEOUT: `${SHUTDOWN_MS}ms`,
  })
  await writeFile(config, text)
  const args = ['-e', join(dir, 'error.log'), '-c', config]
  const nginx = restartable(binary, [...args, '-g', 'daemon off;'], {}, () => accepts(port))
  const master = async () => processAt(Number(await readFile(pidFile, 'utf8').catch(() => '0')))
  const workers = async () => {
    const one = await master()
    return one ? workersOf(one) : []
  }
  const start = async () => {
    await nginx.start()
    await until('its pid file', async () => (await workers()).length > 0)
  }
  /** Workers outlive a master that is killed. */
  const kill = async () => {
    const left = await workers()
    await nginx.kill()
    for (const { pid } of left) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It has ended with its master.
      }
    }
    await until('the port is free', async () => !(await accepts(port)))
  }
  await start()
  const probeUrl = `http://127.0.0.1:${port}/v1/models`
  return {
    url: `http://127.0.0.1:${port}`,
    http2Url: `http://127.0.0.1:${http2Port}`,
    probeUrl,
    adapter: {
      kind: 'nginx-map',
      path,
      pidFile,
      test: [binary, '-t', '-q', ...args],
      shutdownMs: SHUTDOWN_MS,
      probeUrl,
    },
    dir,
    shutdownMs: SHUTDOWN_MS,
    keys: () => readFile(path, 'utf8'),
    workers: async () => (await workers()).length,
    breakConfiguration: () => writeFile(config, text.replace('worker_processes', 'worker_processses')),
    mendConfiguration: () => writeFile(config, text),
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
