import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectVault, vaultKvStore } from '@rekey/backend-vault'
import { ControlClient } from '@rekey/cli'
import { Secret } from '@rekey/contracts'
import { createTopics, ensureHaproxy, ensureNginx, freePort } from '@rekey/local'
import { startGateway, startNginxGateway, startPlatform } from '@rekey/platform'
import { type Closers, closable } from '../closers.ts'
import { callsOf } from '../nodes/calls.ts'
import type { LeakVault } from '../nodes/vault.ts'
import type { Servers } from '../servers.ts'
import { Child } from '../world/child.ts'
import { documentsOf } from './documents.ts'
import { startFront } from './front.ts'
import type { Kill } from './kills.ts'
import type { LoadCalls } from './load.ts'
import type { ModelCalls } from './model.ts'

/** Longer than any request and stream runs. An end that NGINX could not tell of counts for so long. */
const LONGEST_MS = 4_000
/** Rotations are short here, so agents look more often than by default. */
const AGENT = { pollMs: 250, usageMs: 250 }

export type Stage = Awaited<ReturnType<typeof build>> & { close(): Promise<void> }

/** A whole Rekey, two gateways of two kinds behind a balancer, the model server behind them, and the process of the clients. */
export async function setStage(
  servers: Servers,
  vault: LeakVault,
  settings: { readerCacheMs: number },
  say: (line: string) => void,
): Promise<Stage> {
  return closable((closers) => build(servers, vault, settings, say, closers))
}

async function build(
  servers: Servers,
  vault: LeakVault,
  { readerCacheMs }: { readerCacheMs: number },
  say: (line: string) => void,
  closers: Closers,
) {
  // Vault and Kafka may be somebody's who has met a soak before.
  const id = randomBytes(4).toString('hex')
  const [credential, workload, path] = [`soaked-key-${id}`, `soaked-${id}`, `bench/soaked-key-${id}`]
  const auditTopic = `rekey.audit.soak-${id}`
  await createTopics({ kafka: { brokers: vault.kafkaBrokers } }, [auditTopic])
  const dir = await mkdtemp(join(tmpdir(), 'rekey-soak-'))
  closers.push(() => rm(dir, { recursive: true, force: true }))
  say('starting conductor, rotator, fleet, control and auditor')
  const platform = await startPlatform({
    servers: {
      kafkaBrokers: vault.kafkaBrokers,
      redisUrl: servers.redisUrl,
      postgresUrl: await servers.createDatabase(),
      vaultAddr: vault.addr,
      awsEndpoint: '',
      awsRegion: '',
      identitiesDir: vault.identitiesDir,
    },
    dir,
    ports: { control: await freePort(), fleet: await freePort(), enrol: await freePort() },
    // No change comes by Kafka here: rotations are ordered.
    leaveOut: ['intake'],
    only: { auditor: { AUDIT_TOPIC: auditTopic } },
  })
  closers.push(() => platform.stop())
  const token = Secret.of(readFileSync(platform.control.tokenFile, 'utf8').trim())
  const control = new ControlClient({ url: platform.control.url, token, actor: 'soak' })

  const child = (name: string) => {
    const started = new Child({
      name,
      main: new URL(`${name}.ts`, import.meta.url),
      env: { LOG_LEVEL: 'warn' },
      logFile: join(dir, `${name}.log`),
    })
    closers.push(() => started.stop())
    return started
  }
  const model = child('model')
  const modelPort = await callsOf<ModelCalls>(model)('listen', undefined)

  say('starting HAProxy and NGINX, each with its agent, and a balancer in front')
  const ports = { haproxy: await freePort(), nginx: await freePort() }
  await control.configure(documentsOf({ credential, workload, path, ports, readerCacheMs }), true)
  const joinToken = async (node: string) => (await control.createNodeToken(node, workload, 60_000)).token
  const each = {
    credential,
    modelPort,
    dir,
    fleet: platform.fleet,
    vaultAddr: vault.addr,
    agent: AGENT,
  }
  const [binary, nginxBinary] = await Promise.all([ensureHaproxy(), ensureNginx()])
  const haproxy = await startGateway({
    ...each,
    name: `soak-haproxy-${id}`,
    port: ports.haproxy,
    haproxy: binary,
    joinToken: await joinToken(`soak-haproxy-${id}`),
  })
  closers.push(() => haproxy.stop())
  const nginx = await startNginxGateway({
    ...each,
    name: `soak-nginx-${id}`,
    port: ports.nginx,
    nginx: nginxBinary,
    joinToken: await joinToken(`soak-nginx-${id}`),
    longestMs: LONGEST_MS,
  })
  closers.push(() => nginx.stop())
  const front = await startFront(binary, dir, ports)
  closers.push(() => front.stop())
  await front.bothUp()
  const load = child('load')

  const reader = vault.identity('reader')
  const readers = {
    addr: vault.addr,
    roleId: readFileSync(reader.roleIdFile, 'utf8').trim(),
    secretIdFile: reader.secretIdFile,
    path,
  }
  const readerVault = connectVault(readers)
  closers.push(async () => readerVault.close())
  const store = vaultKvStore(readerVault, { mount: 'secret', path })

  const { conductor, rotator, fleet, auditor, control: api } = platform.services
  const [authorizer1, authorizer2] = nginx.authorizers
  const again = (process: { kill(): Promise<void>; untilReady(): Promise<void> } | undefined) => async () => {
    await process?.kill()
    await process?.untilReady()
  }
  const kills: Record<Kill, () => Promise<void>> = {
    'gateway haproxy': () => haproxy.restartHaproxy(),
    'gateway nginx': () => nginx.restartNginx(),
    'authorizer 1': again(authorizer1),
    'authorizer 2': again(authorizer2),
    'agent haproxy': again(haproxy.agent),
    'agent nginx': again(nginx.agent),
    conductor: again(conductor),
    rotator: again(rotator),
    fleet: again(fleet),
    auditor: again(auditor),
    control: again(api),
  }
  return {
    control,
    credential,
    nodes: [haproxy.name, nginx.name],
    front,
    readers,
    load: callsOf<LoadCalls>(load),
    /** What clients find in the store now. */
    current: () => store.readCurrent({ key: 'soak', signal: AbortSignal.timeout(5_000) }),
    /** SIGKILL. Resolves when it serves again, and the balancer knows. */
    async kill(kill: Kill): Promise<void> {
      await kills[kill]()
      await front.bothUp()
    },
    /** What each gateway answers to a value, asked without the balancer. */
    async knock(value: Secret): Promise<{ gateway: string; status: number }[]> {
      const headers = { authorization: `Bearer ${value.reveal()}` }
      return Promise.all(
        [haproxy, nginx].map(async ({ name, url }) => {
          const knockOnce = async () => {
            const answer = await fetch(`${url}/v1/models`, { headers })
            await answer.arrayBuffer()
            return { gateway: name, status: answer.status }
          }
          // A connection that was kept from before its gateway was killed says nothing of the key.
          return knockOnce().catch(knockOnce).catch(knockOnce)
        }),
      )
    },
  }
}
