import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import {
  CreateSecretCommand,
  DeleteSecretCommand,
  RotateSecretCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager'
import pg from 'pg'
import { parseCredentialsFile } from './aws.ts'
import { type RotationFunction, startRotationFunction } from './rotation-function.ts'

export type RotatedSecret = {
  secretId: string
  /** The two users that take turns, and the database, by a superuser's url. */
  users: [string, string]
  /** The database as clients reach it: without user and password. */
  endpoint: string
  /** The DSN of a login that sees everybody's sessions, and may end them. */
  watcher: string
  fn: RotationFunction
  /** Opens a session as a client does, with what the secret said, and returns how it is closed. */
  logIn(login: string): Promise<() => Promise<void>>
  /** As an administrator of the account. */
  aws: SecretsManagerClient
  close(): Promise<void>
}

/** A secret with a rotation function of its own, over two users of a real database: as its owner has it before Rekey comes. */
export async function makeRotatedSecret(
  stack: { awsEndpoint: string; awsRegion: string; awsCredentialsFile: string; postgresUrl: string },
  { days = 1_000, singleUser = false }: { days?: number; singleUser?: boolean } = {},
): Promise<RotatedSecret> {
  const id = randomBytes(5).toString('hex')
  const user = `rotated_${id}`
  const users: [string, string] = [user, `${user}_clone`]
  const watcher = `watcher_${id}`
  const [password, watching] = [randomPassword(), randomPassword()]
  const admin = new URL(stack.postgresUrl)
  await asAdmin(stack.postgresUrl, async (db) => {
    await db.query(`create role ${user} login password '${password}'`)
    await db.query(`create role ${watcher} login password '${watching}'`)
    await db.query(`grant pg_read_all_stats, pg_signal_backend to ${watcher}`)
  })
  const key = parseCredentialsFile(await readFile(stack.awsCredentialsFile, 'utf8'))
  const aws = new SecretsManagerClient({
    region: stack.awsRegion,
    endpoint: stack.awsEndpoint,
    credentials: { accessKeyId: key?.id ?? '', secretAccessKey: key?.secret ?? '' },
  })
  const place = {
    engine: 'postgres',
    host: admin.hostname,
    port: Number(admin.port),
    dbname: admin.pathname.slice(1),
  }
  const master = {
    ...place,
    username: decodeURIComponent(admin.username),
    password: decodeURIComponent(admin.password),
  }
  const { ARN: masterarn } = await aws.send(
    new CreateSecretCommand({ Name: `rotated/${id}/master`, SecretString: JSON.stringify(master) }),
  )
  const secretId = `rotated/${id}/app`
  await aws.send(
    new CreateSecretCommand({
      Name: secretId,
      SecretString: JSON.stringify({ ...place, username: user, password, masterarn }),
    }),
  )
  const fn = await startRotationFunction({
    endpoint: stack.awsEndpoint,
    region: stack.awsRegion,
    credentialsFile: stack.awsCredentialsFile,
    singleUser,
  })
  await aws.send(
    new RotateSecretCommand({
      SecretId: secretId,
      RotationLambdaARN: fn.arn,
      RotateImmediately: false,
      RotationRules: { AutomaticallyAfterDays: days },
    }),
  )
  const url = (user: string, secret: string) => {
    const made = new URL(stack.postgresUrl)
    made.username = user
    made.password = secret
    return made.href
  }
  return {
    secretId,
    users,
    endpoint: url('', ''),
    watcher: url(watcher, watching),
    fn,
    aws,
    async logIn(login) {
      const { username, password, host, port, dbname } = JSON.parse(login)
      const db = new pg.Client({ user: username, password, host, port, database: dbname })
      db.on('error', () => {})
      await db.connect()
      return () => db.end()
    },
    async close() {
      await fn.close()
      for (const SecretId of [secretId, `rotated/${id}/master`])
        await aws.send(new DeleteSecretCommand({ SecretId, ForceDeleteWithoutRecovery: true }))
      aws.destroy()
      const roles = [users[1], users[0], watcher]
      await asAdmin(stack.postgresUrl, async (db) => {
        await db.query('select pg_terminate_backend(pid) from pg_stat_activity where usename = any($1)', [
          roles,
        ])
        await db.query(`drop role if exists ${roles.join(', ')}`)
      })
    },
  }
}

const randomPassword = () => `planted-${randomBytes(18).toString('hex')}`

async function asAdmin(url: string, work: (db: pg.Client) => Promise<unknown>): Promise<void> {
  const db = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  db.on('error', () => {})
  await db.connect()
  try {
    await work(db)
  } finally {
    await db.end()
  }
}
