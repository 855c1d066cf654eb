import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { ensureEnvoy, freePort } from '@rekey/local'
import { accepts, filledIn, type Gateway, restartable, startModel } from './gateway.ts'

const EXAMPLE = new URL('../../../examples/envoy/envoy.yaml.template', import.meta.url).pathname
const FILES = { generic: 'provider-key', tls: 'shop-tls' } as const
export const SERVER_NAME = 'shop.internal.example'

export type Envoy = Awaited<ReturnType<typeof startEnvoy>>

/** The example's Envoy on free ports: before a provider that takes the keys which `isAlive`, and before a service. */
export async function startEnvoy(isAlive: (request: IncomingMessage) => boolean = () => true) {
  const binary = await ensureEnvoy((line) => process.stderr.write(`${line}\n`))
  const dir = await mkdtemp(join(tmpdir(), 'rekey-envoy-'))
  const secrets = join(dir, 'secrets')
  await mkdir(secrets, { mode: 0o700 })
  for (const name of Object.values(FILES)) await writeFile(join(secrets, `${name}.json`), '{}\n')
  const [provider, service] = [await startModel(isAlive), await startModel()]
  const [port, tlsPort] = [await freePort(), await freePort()]
  const admin = join(dir, 'admin.sock')
  const [providerHost = '', providerPort = ''] = provider.address.split(':')
  const config = join(dir, 'envoy.yaml')
  await writeFile(
    config,
    await filledIn(EXAMPLE, {
      ENVOY_ADMIN: admin,
      ENVOY_SECRETS: secrets,
      ENVOY_OUTBOUND_PORT: `${port}`,
      ENVOY_PROVIDER_HOST: providerHost,
      ENVOY_PROVIDER_PORT: providerPort,
      ENVOY_TLS_BIND: '127.0.0.1',
      ENVOY_TLS_PORT: `${tlsPort}`,
      ENVOY_SERVICE_PORT: service.address.split(':')[1] ?? '',
    }),
  )
  const logging = ['--log-path', join(dir, 'envoy.log'), '--file-flush-interval-msec', '50']
  const args = ['-c', config, '--disable-hot-restart', '--concurrency', '1', ...logging]
  const { start, kill, signal } = restartable(binary, args, {}, () => accepts(port))
  await start()
  const probeUrl = `http://${provider.address}/v1/models`
  const fileOf = (type: keyof typeof FILES) => join(secrets, `${FILES[type]}.json`)
  const adapterOf = (type: keyof typeof FILES) => ({
    kind: 'envoy',
    type,
    secret: FILES[type],
    path: fileOf(type),
    admin,
  })
  return {
    url: `http://127.0.0.1:${port}`,
    tlsUrl: `https://127.0.0.1:${tlsPort}`,
    tlsAddress: `127.0.0.1:${tlsPort}`,
    /** The provider's own: through Envoy every key would be Envoy's. */
    probeUrl,
    adapter: { ...adapterOf('generic'), probeUrl },
    adapterOf,
    fileOf,
    /** Of the certificate that is shown to who connects now; undefined: none. */
    async shownSerial(): Promise<string | undefined> {
      const socket = connect({
        host: '127.0.0.1',
        port: tlsPort,
        servername: SERVER_NAME,
        rejectUnauthorized: false,
      })
      try {
        await once(socket, 'secureConnect')
        return socket.getPeerX509Certificate()?.serialNumber
      } catch {
        return undefined
      } finally {
        socket.destroy()
      }
    },
    log: () => readFile(join(dir, 'envoy.log'), 'utf8'),
    dir,
    start,
    kill,
    signal,
    async restart() {
      await kill()
      await start()
    },
    async stop() {
      await kill()
      provider.stop()
      service.stop()
      await rm(dir, { recursive: true, force: true })
    },
  } satisfies Gateway & Record<string, unknown>
}
