import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import {
  DescribeSecretCommand,
  GetRandomPasswordCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager'
import pg from 'pg'
import { parseCredentialsFile } from './aws.ts'

export const ROTATION_STEPS = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'] as const
export type RotationStep = (typeof ROTATION_STEPS)[number]

/** What goes wrong with a step: it does nothing and fails, acts and fails, never answers, takes long to act, or is done twice at once. */
export type RotationFault = 'fails' | 'fails-late' | 'hangs' | 'slow' | 'twice'

export type RotationFunction = {
  arn: string
  /** What it was invoked with, in order. */
  readonly invoked: { step: RotationStep; token: string }[]
  /** From now on. */
  break(step: RotationStep, fault: RotationFault): void
  heal(): void
  close(): Promise<void>
}

const SLOW_MS = 4_000

type Login = {
  username: string
  password: string
  host: string
  port: number
  dbname: string
  masterarn: string
}

/**
 * A rotation function for PostgreSQL with alternating users, by the protocol and the steps of AWS's own sample
 * (SecretsManagerRDSPostgreSQLRotationMultiUser), served as Lambda's runtime interface emulator serves functions.
 */
export async function startRotationFunction(aws: {
  endpoint: string
  region: string
  credentialsFile: string
  /** It changes the password of the one user, as the sample for that does. */
  singleUser?: boolean
}): Promise<RotationFunction> {
  const steps = stepsFor(aws.singleUser ? (user) => user : alternate)
  const key = parseCredentialsFile(await readFile(aws.credentialsFile, 'utf8'))
  const client = new SecretsManagerClient({
    region: aws.region,
    endpoint: aws.endpoint,
    credentials: { accessKeyId: key?.id ?? '', secretAccessKey: key?.secret ?? '' },
  })
  const faults = new Map<RotationStep, RotationFault>()
  const invoked: RotationFunction['invoked'] = []

  async function invoke(step: RotationStep, id: string, token: string, slowMs: number): Promise<void> {
    const { RotationEnabled, VersionIdsToStages = {} } = await client.send(
      new DescribeSecretCommand({ SecretId: id }),
    )
    const labels = VersionIdsToStages[token] ?? []
    if (!RotationEnabled) throw new Error('the secret is not enabled for rotation')
    if (labels.includes('AWSCURRENT')) return
    if (!labels.includes('AWSPENDING')) throw new Error('the version is not pending')
    if (slowMs > 0) await delay(slowMs)
    await steps[step](client, id, token)
  }

  const server = createServer(async (request, reply) => {
    const { SecretId, ClientRequestToken, Step } = JSON.parse(await textOf(request))
    const step = Step as RotationStep
    invoked.push({ step, token: ClientRequestToken })
    const fault = faults.get(step)
    if (fault === 'hangs') return
    try {
      if (fault === 'fails') throw new Error('asked to fail')
      const once = () => invoke(step, SecretId, ClientRequestToken, fault === 'slow' ? SLOW_MS : 0)
      await (fault === 'twice' ? Promise.all([once(), once()]) : once())
      if (fault === 'fails-late') throw new Error('asked to fail')
      reply.end('null')
    } catch (error) {
      reply.setHeader('x-amz-function-error', 'Unhandled')
      reply.end(JSON.stringify({ errorType: 'ValueError', errorMessage: String(error) }))
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    arn: `arn:aws:lambda:${aws.region}:000000000000:function:rekey-local-${port}`,
    invoked,
    break: (step, fault) => void faults.set(step, fault),
    /** What hangs is cut off, as Lambda does at its timeout. */
    heal() {
      faults.clear()
      server.closeAllConnections()
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      client.destroy()
    },
  }
}

type Act = (client: SecretsManagerClient, id: string, token: string) => Promise<void>

/** `next`: the user whose turn it is after another one. */
const stepsFor = (next: (user: string) => string): Record<RotationStep, Act> => ({
  async createSecret(client, id, token) {
    const current = await loginAt(client, id, { VersionStage: 'AWSCURRENT' })
    try {
      await loginAt(client, id, { VersionId: token, VersionStage: 'AWSPENDING' })
    } catch (error) {
      if (!(error instanceof Error) || error.name !== 'ResourceNotFoundException') throw error
      const { RandomPassword = '' } = await client.send(
        new GetRandomPasswordCommand({ ExcludeCharacters: ':/@"\'\\', PasswordLength: 32 }),
      )
      const made = { ...current, username: next(current.username), password: RandomPassword }
      await client.send(
        new PutSecretValueCommand({
          SecretId: id,
          ClientRequestToken: token,
          SecretString: JSON.stringify(made),
          VersionStages: ['AWSPENDING'],
        }),
      )
    }
  },

  async setSecret(client, id, token) {
    const current = await loginAt(client, id, { VersionStage: 'AWSCURRENT' })
    const pending = await loginAt(client, id, { VersionId: token, VersionStage: 'AWSPENDING' })
    if (await worksAs(pending)) return
    if (next(current.username) !== pending.username) throw new Error('it is the turn of another user')
    if (!(await worksAs(current))) throw new Error('the current login does not work')
    const master = await loginAt(client, current.masterarn, { VersionStage: 'AWSCURRENT' })
    await withLogin({ ...master, dbname: current.dbname }, async (db) => {
      const role = db.escapeIdentifier(pending.username)
      const password = db.escapeLiteral(pending.password)
      const { rowCount } = await db.query('select 1 from pg_roles where rolname = $1', [pending.username])
      if (rowCount === 0) {
        await db.query(`create role ${role} login password ${password}`)
        await db.query(`grant ${db.escapeIdentifier(current.username)} to ${role}`)
      } else await db.query(`alter role ${role} password ${password}`)
    })
  },

  async testSecret(client, id, token) {
    await withLogin(await loginAt(client, id, { VersionId: token, VersionStage: 'AWSPENDING' }), (db) =>
      db.query('select now()'),
    )
  },

  async finishSecret(client, id, token) {
    const { VersionIdsToStages = {} } = await client.send(new DescribeSecretCommand({ SecretId: id }))
    const [current] = Object.entries(VersionIdsToStages).find(([, held]) => held.includes('AWSCURRENT')) ?? []
    if (current === token) return
    await client.send(
      new UpdateSecretVersionStageCommand({
        SecretId: id,
        VersionStage: 'AWSCURRENT',
        MoveToVersionId: token,
        RemoveFromVersionId: current,
      }),
    )
  },
})

const CLONE = '_clone'
const alternate = (user: string) => (user.endsWith(CLONE) ? user.slice(0, -CLONE.length) : `${user}${CLONE}`)

async function loginAt(
  client: SecretsManagerClient,
  SecretId: string,
  at: { VersionStage: string; VersionId?: string },
): Promise<Login> {
  const { SecretString = '' } = await client.send(new GetSecretValueCommand({ SecretId, ...at }))
  return JSON.parse(SecretString)
}

async function worksAs(login: Login): Promise<boolean> {
  return withLogin(login, async () => true).catch(() => false)
}

async function withLogin<T>(login: Login, work: (db: pg.Client) => Promise<T>): Promise<T> {
  const { username: user, password, host, port, dbname: database } = login
  const db = new pg.Client({ user, password, host, port, database, connectionTimeoutMillis: 5_000 })
  db.on('error', () => {})
  await db.connect()
  try {
    return await work(db)
  } finally {
    await db.end()
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
