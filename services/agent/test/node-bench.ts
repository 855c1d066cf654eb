import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DesiredState, Secret } from '@rekey/contracts'
import { stringify } from 'yaml'
import { askStatus, isReady } from '../src/status-socket.ts'
import { startFakeFleet } from './fake-fleet.ts'
import { startFakeVault } from './fake-vault.ts'
import type { Gateway } from './gateway.ts'
import { startHaproxy } from './haproxy.ts'
import { AGENT, type ServiceProcess, startProcess } from './process.ts'
import { startSocketGate } from './socket-gate.ts'
import { until } from './until.ts'

export const sampleValue = (generation: number) =>
  Secret.of(`value-of-generation-${generation}-${'x'.repeat(20)}`)

/** What an agent works at: a gateway, or anything else on its node that is given values. */
type NodeSoftware = Pick<Gateway, 'adapter' | 'stop'> & { probeUrl?: string }

/** A node with its software and the agent as its own process; fleet and Vault are played by this process. */
export async function startNodeAt<S extends NodeSoftware>(
  gateway: S,
  adapter = gateway.adapter,
  values = sampleValue,
) {
  const fleet = await startFakeFleet({ node: 'gw-1', valueOf: values })
  const vault = await startFakeVault({ valueOf: values })
  const dir = await mkdtemp(join(tmpdir(), 'rekey-node-'))
  const configFile = join(dir, 'agent.yaml')
  const stateDir = join(dir, 'state')
  const token = 't'.repeat(40)
  fleet.allowToken(token)
  await writeFile(join(dir, 'ca.pem'), fleet.ca)
  await writeFile(join(dir, 'token'), token)
  await writeFile(
    configFile,
    stringify({
      node: 'gw-1',
      fleet: { url: fleet.url, enrolUrl: fleet.enrolUrl, caFile: 'ca.pem' },
      joinTokenFile: 'token',
      stateDir: 'state',
      vault: { addr: vault.addr },
      pollMs: 100,
      usageMs: 100,
      adapters: [{ credential: 'chat', ...adapter }],
    }),
  )
  let agent: ServiceProcess | undefined
  let revision = 0

  return {
    gateway,
    fleet,
    vault,
    dir,
    logs: () => agent?.lines ?? [],
    start(env: Record<string, string> = {}) {
      agent = startProcess(AGENT, ['run', '--config', configFile], env)
      return agent
    },
    kill: (signal: NodeJS.Signals = 'SIGKILL') => agent?.kill(signal),
    /** The agent does nothing until it is continued. */
    pause: () => agent?.child.kill('SIGSTOP'),
    resume: () => agent?.child.kill('SIGCONT'),
    async newToken() {
      const next = `${Date.now()}`.padStart(40, 'n')
      fleet.allowToken(next)
      await writeFile(join(dir, 'token'), next)
    },
    order(accept: number[], more: Partial<DesiredState> = {}): number {
      revision += 1
      for (const generation of accept) vault.generations.add(generation)
      fleet.order({
        credential: 'chat',
        revision,
        accept: accept.map((generation) => ({ generation, keyId: `chat.g${generation}` })),
        refuse: [],
        floor: 1,
        store: { kind: 'vault-kv', mount: 'secret', path: 'chat' },
        ...more,
      })
      return revision
    },
    acked: (wanted: number) =>
      until(`ack of ${wanted}`, () => fleet.acks.findLast((ack) => ack.revision === wanted), 30_000),
    ready: () =>
      until('ready', async () => {
        const status = await askStatus(stateDir)
        return status && isReady(status) ? status : undefined
      }),
    /** What a client is answered, be it at another address of this host. */
    statusOf: (generation: number, localAddress = '127.0.0.1') =>
      new Promise<number>((resolve, reject) => {
        const headers = { authorization: `Bearer ${values(generation).reveal()}` }
        request(gateway.probeUrl ?? '', { headers, localAddress, agent: false }, (response) => {
          response.resume()
          response.on('end', () => resolve(response.statusCode ?? 0))
        })
          .on('error', reject)
          .end()
      }),
    async stop() {
      await agent?.kill('SIGKILL')
      await fleet.stop()
      vault.stop()
      await gateway.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

/** With HAProxy, and a hand on the socket between it and the agent. */
export async function startNode(options: { config?: string; graveyard?: boolean } = {}) {
  const gateway = await startHaproxy(options)
  const relay = join(gateway.dir, 'relay.sock')
  const gate = await startSocketGate(relay, gateway.socket)
  const { graveyard, ...adapter } = gateway.adapter
  const node = await startNodeAt(gateway, {
    ...adapter,
    socket: relay,
    ...(options.graveyard !== false && { graveyard }),
  })
  return {
    ...node,
    gate,
    async stop() {
      gate.stop()
      await node.stop()
    },
  }
}

export type NodeBench = Awaited<ReturnType<typeof startNode>>
