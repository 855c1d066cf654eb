import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Document } from '@rekey/contracts'
import { openLedger } from '@rekey/ledger'
import { createDatabase, freePort } from '@rekey/local'
import { expect, inject, onTestFailed, onTestFinished, test } from 'vitest'
import { stringify } from 'yaml'
import { EXIT } from '../src/command-line.ts'
import { askStatus } from '../src/status-socket.ts'
import { AGENT, FLEET, startProcess } from './process.ts'
import { startSpire, TRUST_DOMAIN } from './spire.ts'
import { until } from './until.ts'

/** With SPIRE itself, which takes minutes to compile: only with REKEY_DEEP=1. */

const WORKLOAD = 'spire-chat'
const NODE = 'spire-node-1'
const ID = `spiffe://${TRUST_DOMAIN}/rekey/${WORKLOAD}/${NODE}`
const BUILD_MS = 1_800_000

const documents = [
  {
    apiVersion: 'rekey.dev/v1',
    kind: 'Workload',
    metadata: { name: WORKLOAD },
    spec: { spiffeId: `spiffe://${TRUST_DOMAIN}/${WORKLOAD}`, environment: 'test', owner: 'tests' },
  },
].map((document) => Document.parse(document))

test.runIf(process.env.REKEY_DEEP === '1')(
  'a node enrols with an SVID that SPIRE issued to it, and only as itself',
  { timeout: BUILD_MS },
  async () => {
    const stack = inject('stack')
    const dir = await mkdtemp(join(tmpdir(), 'rekey-svid-'))
    onTestFinished(() => rm(dir, { recursive: true, force: true }))
    const database = { postgres: { url: stack.postgresUrl } }
    const databaseUrl = await createDatabase(database, `spire_${crypto.randomUUID().replaceAll('-', '')}`)
    const spire = await startSpire({ databaseUrl })
    onTestFinished(() => spire.stop())
    const ledger = openLedger({ url: stack.postgresUrl, name: 'spire-test' })
    onTestFinished(() => ledger.close())
    await ledger.configure(documents, { apply: true, actor: 'spire-test' })

    const [port, enrolPort] = [await freePort(), await freePort()]
    const fleet = startProcess(FLEET, [], {
      DATABASE_URL: stack.postgresUrl,
      REDIS_URL: stack.redisUrl,
      VAULT_ADDR: stack.vaultAddr,
      VAULT_ROLE_ID_FILE: join(stack.identitiesDir, 'fleet', 'vault-role-id'),
      VAULT_SECRET_ID_FILE: join(stack.identitiesDir, 'fleet', 'vault-secret-id'),
      FLEET_PORT: String(port),
      FLEET_ENROL_PORT: String(enrolPort),
      FLEET_INSTANCE: 'spire-fleet',
      FLEET_CA_FILE: join(dir, 'fleet-ca.pem'),
      FLEET_SVID_BUNDLE_FILE: spire.bundleFile,
      FLEET_SVID_ID: `spiffe://${TRUST_DOMAIN}/rekey/{workload}/{node}`,
    })
    onTestFinished(async () => void (await fleet.kill()))
    onTestFailed(() => void process.stderr.write(`${fleet.lines.slice(-30).join('\n')}\n`))
    await until('the fleet is up', () => fleet.lines.some((l) => l.includes('the fleet channel is open')))

    const agentOf = async (node: string) => {
      const config = join(dir, `${node}.yaml`)
      await writeFile(
        config,
        stringify({
          node,
          fleet: {
            url: `wss://localhost:${port}`,
            enrolUrl: `https://localhost:${enrolPort}`,
            caFile: 'fleet-ca.pem',
          },
          svid: { certFile: 'svid/svid.0.pem', keyFile: 'svid/svid.0.key' },
          stateDir: `state-${node}`,
          vault: { addr: stack.vaultAddr },
          adapters: [{ credential: 'chat', kind: 'file', path: `${node}.json` }],
        }),
      )
      return (command: 'enrol' | 'run') => {
        const agent = startProcess(AGENT, [command, '--config', config])
        onTestFinished(async () => void (await agent.kill('SIGKILL')))
        return agent
      }
    }
    const agent = await agentOf(NODE)
    const journal = async () =>
      (await ledger.journal({ stream: `node/${NODE}` })).map(({ type, data }) => ({ type, data }))
    const enrolled = { type: 'NodeEnrolled', data: expect.objectContaining({ workload: WORKLOAD, svid: ID }) }

    await spire.register(ID)
    await spire.fetchSvid(join(dir, 'svid'))
    const running = agent('run')
    const state = join(dir, `state-${NODE}`)
    await until('connected', async () => (await askStatus(state))?.session ?? undefined)
    expect(await journal()).toEqual([enrolled])

    // What it lost it gets again, with the next SVID of the same entry.
    await running.kill('SIGKILL')
    await rm(state, { recursive: true })
    await spire.fetchSvid(join(dir, 'svid'))
    expect(await agent('enrol').exited).toBe(EXIT.done)
    expect(await journal()).toEqual([enrolled, enrolled])

    // SPIRE replaces its authority: until the fleet has the new bundle, that is no matter for a human.
    await spire.replaceAuthority()
    await rm(state, { recursive: true })
    const svid = () => readFile(join(dir, 'svid', 'svid.0.pem'), 'utf8')
    const before = await svid()
    await until('another SVID', async () => {
      await spire.fetchSvid(join(dir, 'svid'))
      return (await svid()) !== before
    })
    const early = agent('enrol')
    expect(await early.exited).toBe(EXIT.error)
    expect(early.lines.join('\n')).toContain('does not trust the SVID')
    await spire.writeBundle()
    await until('followed', () => fleet.lines.some((l) => l.includes('certificates of other authorities')))
    expect(await agent('enrol').exited).toBe(EXIT.done)

    // Another name is refused, and a node that a human has sent away.
    const other = (await agentOf('spire-node-2'))('enrol')
    expect(await other.exited).toBe(EXIT.notEnrolled)
    expect(other.lines.join('\n')).toContain('the certificate is of another node')
    await ledger.declareGone(NODE, 'spire-test', 'test')
    await rm(state, { recursive: true })
    const gone = agent('enrol')
    expect(await gone.exited).toBe(EXIT.notEnrolled)
    expect(gone.lines.join('\n')).toContain('was declared gone')

    const key = (await readFile(join(dir, 'svid', 'svid.0.key'), 'utf8')).split('\n')[1]
    expect([...fleet.lines, ...other.lines, ...gone.lines].join('\n')).not.toContain(key)
  },
)
