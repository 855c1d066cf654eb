import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bundleText, Secret } from '@rekey/contracts'
import { certificateAuthority } from '@rekey/testing/certificates'
import { containerCredentials } from './access-key.ts'
import {
  type Gateway,
  SERVER_NAME,
  sampleValue,
  startEnvoy,
  startHaproxy,
  startNginx,
  startNodeAt,
  startReloadedNginx,
} from './agent-bench.ts'
import { startCertificateApplication, startKeyFileApplication } from './file-software.ts'
import { httpClient } from './http.ts'
import { pooler } from './pooler.ts'
import { redisLogin } from './redis-login.ts'
import { type AdapterCase, inbound, outbound, type Subject } from './subject.ts'

/** One line for each adapter; what a new one needs is a function that starts it. */
export const CASES: AdapterCase[] = [
  { name: '`haproxy`', start: () => gateway(startHaproxy()) },
  { name: '`subrequest`, NGINX', start: () => gateway(startNginx()) },
  { name: '`nginx-map`', start: () => gateway(startReloadedNginx()) },
  { name: '`envoy`, a key', start: envoyKey },
  { name: '`envoy`, a certificate', start: envoyCertificate },
  { name: '`pgbouncer`', start: pooler },
  { name: '`file`, keys', start: () => gateway(startKeyFileApplication()) },
  { name: '`file`, a certificate', start: fileCertificate },
  { name: '`file`, a Redis login', start: redisLogin },
  { name: '`container-credentials`', start: containerCredentials },
]

type KeyChecker = Pick<Gateway, 'url' | 'probeUrl' | 'adapter' | 'stop'>

async function gateway(starting: Promise<KeyChecker>): Promise<Subject> {
  const node = await startNodeAt(await starting)
  const client = httpClient()
  const stop = async () => {
    client.close()
    await node.stop()
  }
  return inbound(node, { url: node.gateway.url, stop }, client.ask, client.long)
}

async function envoyKey(): Promise<Subject> {
  const dead = new Set<string>()
  const envoy = await startEnvoy(({ headers }) => !dead.has(headers.authorization ?? ''))
  const node = await startNodeAt(envoy)
  const client = httpClient()
  return outbound(node, {
    ask: (number) => client.ask(envoy.url, number, {}),
    long: () => client.long(envoy.url, {}),
    async revoke(old) {
      dead.add(`Bearer ${sampleValue(old).reveal()}`)
    },
    async stop() {
      client.close()
      await node.stop()
    },
  })
}

async function envoyCertificate(): Promise<Subject> {
  const envoy = await startEnvoy()
  const shown = { address: envoy.tlsAddress, serverName: SERVER_NAME }
  return certificate({ ...envoy, folder: envoy.dir }, { ...envoy.adapterOf('tls'), probe: 'shown' }, shown)
}

async function fileCertificate(): Promise<Subject> {
  const application = await startCertificateApplication()
  const { folder, address } = application
  const adapter = { kind: 'file', format: 'tls', path: folder, probe: 'shown' }
  return certificate({ ...application, adapter }, adapter, { address, serverName: SERVER_NAME })
}

const GENERATIONS_MAX = 100

async function certificate(
  software: { folder: string; adapter: Record<string, unknown>; stop(): Promise<void> },
  adapter: Record<string, unknown>,
  shown: { address: string; serverName: string },
): Promise<Subject> {
  const authority = await certificateAuthority()
  const values = await Promise.all(
    Array.from({ length: GENERATIONS_MAX }, async () => {
      const { key, cert } = await authority.issue([{ type: 'dns', value: SERVER_NAME }])
      return bundleText({ certificate: cert, chain: [], key: Secret.of(key) })
    }),
  )
  const valueAt = (generation: number) => values[generation - 1] ?? Secret.of('none')
  const caFile = join(software.folder, 'ca.pem')
  await writeFile(caFile, authority.ca)
  const node = await startNodeAt(software, { ...adapter, shown: { ...shown, caFile } }, valueAt)
  const client = httpClient({ ca: authority.ca, servername: SERVER_NAME, maxCachedSessions: 0 })
  const url = `https://${shown.address}`
  return outbound(node, {
    ask: (number) => client.ask(url, number, {}),
    long: () => client.long(url, {}),
    // Whoever trusts the authority takes any of its certificates; the old one ends when nobody shows it.
    async revoke() {},
    async stop() {
      client.close()
      await node.stop()
    },
  })
}
