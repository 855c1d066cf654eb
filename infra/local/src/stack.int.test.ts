import { execFileSync } from 'node:child_process'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Identities, SERVICES } from './identities.ts'
import { createDatabase } from './postgres.ts'
import { groupLives } from './process-group.ts'
import { provision } from './provision.ts'
import { SERVER_NAMES, type Stack, startStack } from './stack.ts'
import { createTopics } from './topics.ts'
import { askVault } from './vault-api.ts'

// What is tested here is the way without Docker.
process.env.REKEY_STACK_DOCKER = 'no'

let stack: Stack
let identities: Identities

beforeAll(async () => {
  stack = await startStack({ ports: 'free' })
  identities = await provision(stack)
}, 900_000)

afterAll(() => stack.stop())

const kafka = () =>
  new Kafka({
    brokers: stack.kafka.brokers,
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 50, retries: 20 },
  })

async function send(topic: string, value: string): Promise<void> {
  const producer = kafka().producer()
  await producer.connect()
  await producer.send({ topic, messages: [{ value }] })
  await producer.disconnect()
}

async function endOffsets(topic: string): Promise<number[]> {
  const admin = kafka().admin()
  await admin.connect()
  const offsets = await admin.fetchTopicOffsets(topic)
  await admin.disconnect()
  return offsets.map((offset) => Number(offset.high))
}

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

const rootToken = () => readFile(stack.vault.rootTokenFile, 'utf8')

async function login(service: (typeof SERVICES)[number]): Promise<string> {
  const { vaultRoleIdFile, vaultSecretIdFile } = identities.of(service)
  const [role_id, secret_id] = await Promise.all([
    readFile(vaultRoleIdFile, 'utf8'),
    readFile(vaultSecretIdFile, 'utf8'),
  ])
  const { auth } = await askVault(stack.vault.addr, undefined, 'POST', 'auth/approle/login', {
    role_id,
    secret_id,
  })
  return auth.client_token
}

test('gives addresses and no secret to a service', () => {
  expect(Object.keys(stack.env).toSorted()).toEqual([
    'AWS_ENDPOINT_URL',
    'AWS_REGION',
    'DATABASE_URL',
    'KAFKA_BROKERS',
    'REDIS_URL',
    'VAULT_ADDR',
  ])
  expect(new URL(stack.postgres.url).password).toBe('')
})

test('listens on loopback only', () => {
  const listening = execFileSync('cat', ['/proc/net/tcp', '/proc/net/tcp6'], { encoding: 'utf8' })
  const ports = Object.values(stack.env).flatMap((value) => /:(\d{4,5})/.exec(value)?.[1] ?? [])
  expect(ports).toHaveLength(5)
  for (const port of ports) {
    const hex = Number(port).toString(16).toUpperCase().padStart(4, '0')
    const local = [...listening.matchAll(new RegExp(`: (\\w+):${hex} \\w+:\\w+ 0A`, 'g'))].map(
      (match) => match[1],
    )
    expect(local.length).toBeGreaterThan(0)
    // 127.0.0.1, as it is and mapped into IPv6.
    for (const address of local)
      expect(address).toMatch(/^(0{16}F{4}0{4}|0000000000000000FFFF0000)?0100007F$/)
  }
})

describe('PostgreSQL', () => {
  test('makes a database once', async () => {
    const url = await createDatabase(stack, 'of-a-test')
    expect(await createDatabase(stack, 'of-a-test')).toBe(url)
    expect(await query(url, 'SELECT current_database() AS name')).toEqual([{ name: 'of-a-test' }])
  })

  test('asks every role but its owner for a password, so that a dead one is refused', async () => {
    await query(stack.postgres.url, `CREATE ROLE app LOGIN PASSWORD 'correct horse'`)
    const as = (password: string) => {
      const url = new URL(stack.postgres.url)
      url.username = 'app'
      url.password = password
      return query(url.href, 'SELECT 1')
    }
    expect(await as('correct horse')).toHaveLength(1)
    await expect(as('battery staple')).rejects.toMatchObject({ code: '28P01' })
  })
})

describe('Kafka', () => {
  test('has the topics, and takes a record of 2 MB where changes come in', async () => {
    const admin = kafka().admin()
    await admin.connect()
    const { topics } = await admin.fetchTopicMetadata({ topics: [] as string[] })
    await admin.disconnect()
    const partitions = Object.fromEntries(topics.map((topic) => [topic.name, topic.partitions.length]))
    expect(partitions).toMatchObject({
      'rekey.changes.demo.v1': 4,
      'rekey.verdicts.v1': 4,
      'rekey.audit.v1': 1,
      'rekey.dead-letter.v1': 4,
    })
    await send('rekey.changes.demo.v1', 'x'.repeat(2_000_000))
    await expect(send('rekey.verdicts.v1', 'x'.repeat(2_000_000))).rejects.toThrow(/large/)
  })

  test('keeps what it acknowledged over a kill', async () => {
    await createTopics(stack, ['survivors'])
    await send('survivors', 'one')
    await stack.servers.kafka.kill()
    await stack.servers.kafka.start()
    expect(await endOffsets('survivors')).toEqual([1])
    await send('survivors', 'two')
    expect(await endOffsets('survivors')).toEqual([2])
  })
})

describe('Vault', () => {
  test('keeps its secrets over a kill, and is unsealed by the start', async () => {
    const token = await rootToken()
    await askVault(stack.vault.addr, token, 'POST', 'secret/data/kept', { data: { value: 'one' } })
    await stack.servers.vault.kill()
    await stack.servers.vault.start()
    const { data } = await askVault(stack.vault.addr, token, 'GET', 'secret/data/kept')
    expect(data.data).toEqual({ value: 'one' })
  })

  test('rotates a PostgreSQL role through its plugin, and takes the plugin along when it is killed', async () => {
    const token = await rootToken()
    const ask = (path: string, body: unknown) => askVault(stack.vault.addr, token, 'POST', path, body)
    await query(stack.postgres.url, `CREATE ROLE vault SUPERUSER LOGIN PASSWORD 'manager'`)
    await ask('database/config/ledger', {
      plugin_name: 'postgresql-database-plugin',
      allowed_roles: '*',
      connection_url: stack.postgres.url.replace('rekey@', '{{username}}:{{password}}@'),
      username: 'vault',
      password: 'manager',
    })
    const children = () => execFileSync('ps', ['-eo', 'pgid=,args='], { encoding: 'utf8' }).split('\n')
    const pgid = Number((await readFile(join(stack.dir, 'run', 'vault'), 'utf8')).split(' ')[0])
    expect(children().some((line) => line.includes(` ${pgid} `) || line.startsWith(`${pgid} `))).toBe(true)
    expect(children().some((line) => line.includes('postgresql-database-plugin'))).toBe(true)
    await stack.servers.vault.kill()
    expect(groupLives(pgid)).toBe(false)
    await stack.servers.vault.start()
  })
})

describe('provision', () => {
  test('keeps identities in files that only their owner reads', async () => {
    expect((await readdir(identities.dir)).toSorted()).toEqual([...SERVICES].toSorted())
    for (const service of SERVICES) {
      expect((await stat(join(identities.dir, service))).mode & 0o777).toBe(0o700)
      for (const file of Object.values(identities.of(service)))
        expect((await stat(file)).mode & 0o777).toBe(0o600)
    }
  })

  test('leaves what works as it is when it is repeated', async () => {
    const all = () =>
      Promise.all(
        SERVICES.flatMap((name) => Object.values(identities.of(name)).map((file) => readFile(file, 'utf8'))),
      )
    const before = await all()
    await provision(stack)
    expect(await all()).toEqual(before)
  })

  test('lets each Vault identity do its own work and no other', async () => {
    const outcome = async (
      service: (typeof SERVICES)[number],
      method: 'GET' | 'POST',
      path: string,
      body?: unknown,
    ) =>
      askVault(stack.vault.addr, await login(service), method, path, body).then(
        () => 'allowed',
        (error: { status: number }) => error.status,
      )
    const value = { data: { value: 'one' } }
    expect(await outcome('rotator', 'POST', 'secret/data/model/key', value)).toBe('allowed')
    expect(await outcome('rotator', 'POST', 'secret/data/rekey-staging/model/key', value)).toBe('allowed')
    expect(await outcome('rotator', 'GET', 'secret/data/model/key')).toBe('allowed')
    expect(await outcome('rotator', 'POST', 'secret/destroy/model/key', { versions: [1] })).toBe('allowed')
    expect(await outcome('rotator', 'POST', 'pki/issue/rekey-server', { common_name: 'localhost' })).toBe(403)
    expect(await outcome('prober', 'GET', 'secret/data/rekey-staging/model/key')).toBe('allowed')
    expect(await outcome('prober', 'POST', 'secret/data/model/key', value)).toBe(403)
    await outcome('rotator', 'POST', 'secret/data/model/key', value)
    expect(await outcome('reader', 'GET', 'secret/data/model/key')).toBe('allowed')
    expect(await outcome('reader', 'GET', 'secret/data/rekey-staging/model/key')).toBe(403)
    const input = { input: Buffer.from('a digest').toString('base64') }
    for (const service of ['control', 'webhooks'] as const) {
      expect(await outcome(service, 'POST', 'transit/hmac/rekey-fingerprint/sha2-256', input)).toBe('allowed')
      expect(await outcome(service, 'GET', 'secret/data/model/key')).toBe(403)
    }
    expect(await outcome('webhooks', 'POST', 'sys/policies/acl/rekey-node-1', { policy: '' })).toBe(403)
    expect(await outcome('fleet', 'GET', 'secret/data/model/key')).toBe(403)
    expect(await outcome('fleet', 'POST', 'pki/issue/rekey-server', { common_name: 'localhost' })).toBe(
      'allowed',
    )
    const policy = { policy: 'path "secret/data/model/key" { capabilities = ["read"] }' }
    expect(await outcome('fleet', 'POST', 'sys/policies/acl/rekey-node-1', policy)).toBe('allowed')
    expect(await outcome('fleet', 'POST', 'sys/policies/acl/other', policy)).toBe(403)
    const role = { token_policies: ['rekey-node-1'] }
    expect(await outcome('fleet', 'POST', 'auth/approle/role/rekey-node-1', role)).toBe('allowed')
    expect(await outcome('fleet', 'GET', 'auth/approle/role/rekey-node-1/role-id')).toBe('allowed')
    expect(await outcome('fleet', 'POST', 'auth/approle/role/rekey-node-1/secret-id', {})).toBe('allowed')
    expect(await outcome('fleet', 'POST', 'auth/approle/role/rekey-rotator/secret-id', {})).toBe(403)
  })

  test('signs a node’s request for its SPIFFE ID, and nothing that also asks for more', async () => {
    const token = await login('fleet')
    const key = join(stack.dir, 'node.key')
    execFileSync('openssl', ['ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', key], {
      stdio: 'ignore',
    })
    const sign = async (san: string, subject = '/') => {
      const arguments_ = ['req', '-new', '-key', key, '-subj', subject, '-addext', `subjectAltName=${san}`]
      const csr = execFileSync('openssl', arguments_, { encoding: 'utf8' })
      const { data } = await askVault(stack.vault.addr, token, 'POST', 'pki/sign/rekey-node', { csr })
      return readCertificate(data.certificate)
    }
    const node = 'URI:spiffe://rekey.local/node/gpu-1'
    const certificate = await sign(node)
    expect(certificate).toContain(node)
    expect(certificate).toContain('TLS Web Client Authentication')
    expect(certificate).not.toContain('TLS Web Server Authentication')
    // A common name is not refused, but it is not signed either.
    expect(await sign(node, '/CN=somebody.else')).not.toContain('somebody')
    for (const more of ['DNS:localhost', 'IP:127.0.0.1', 'email:root@localhost'])
      await expect(sign(`${node},${more}`)).rejects.toMatchObject({ status: 400 })
    await expect(sign('URI:spiffe://rekey.local/fleet')).rejects.toMatchObject({ status: 400 })
  })

  test('issues a server certificate for loopback, good for both ends', async () => {
    const { data } = await askVault(
      stack.vault.addr,
      await login('fleet'),
      'POST',
      'pki/issue/rekey-server',
      {
        common_name: 'localhost',
        ip_sans: '127.0.0.1',
      },
    )
    const certificate = readCertificate(data.certificate)
    expect(certificate).toContain('DNS:localhost, IP Address:127.0.0.1')
    expect(certificate).toMatch(/TLS Web Server Authentication.*TLS Web Client Authentication/)
    expect(readCertificate(data.issuing_ca)).toContain('CN = Rekey local CA')
  })
})

function readCertificate(pem: string): string {
  const fields = ['-noout', '-subject', '-ext', 'subjectAltName,extendedKeyUsage']
  return execFileSync('openssl', ['x509', ...fields], { input: pem, encoding: 'utf8', stdio: 'pipe' })
}

test('has a server for each name', () => {
  expect(SERVER_NAMES.map((name) => stack.servers[name].origin)).toEqual(Array(5).fill('native'))
})
