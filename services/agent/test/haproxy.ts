import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureHaproxy, freePort } from '@rekey/local'
import { accepts, type Gateway, restartable, startModel } from './gateway.ts'

const EXAMPLE = new URL('../../../examples/haproxy/haproxy.cfg', import.meta.url).pathname

export type Haproxy = Gateway & { socket: string; map: string; graveyard: string }

/** The example's HAProxy on free ports, before the model server at an address (`host:port`) or one of its own. */
export async function startHaproxy(options: { config?: string; model?: string } = {}): Promise<Haproxy> {
  const binary = await ensureHaproxy()
  const dir = await mkdtemp(join(tmpdir(), 'rekey-gw-'))
  const model = options.model ? { address: options.model, stop() {} } : await startModel()
  const port = await freePort()
  const [socket, map, graveyard] = [
    join(dir, 'haproxy.sock'),
    join(dir, 'keys.map'),
    join(dir, 'graveyard.map'),
  ]
  await writeFile(map, '')
  await writeFile(graveyard, '')
  const env = {
    GATEWAY_BIND: `127.0.0.1:${port}`,
    GATEWAY_UPSTREAM: model.address,
    GATEWAY_MAP: map,
    GATEWAY_GRAVEYARD: graveyard,
    GATEWAY_SOCKET: socket,
  }
  const { start, kill } = restartable(binary, ['-f', options.config ?? EXAMPLE, '-db'], env, () =>
    accepts(port),
  )
  await start()
  const probeUrl = `http://127.0.0.1:${port}/v1/models`
  return {
    url: `http://127.0.0.1:${port}`,
    probeUrl,
    adapter: { kind: 'haproxy', socket, map, graveyard, probeUrl },
    socket,
    map,
    graveyard,
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
