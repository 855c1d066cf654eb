import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { createDatabase, type IamUser, makeIamUser, makeRolePair, type RolePair } from '@rekey/local'
import { type Readers, readersOf, type SupervisedProcess } from '@rekey/platform'
import type { StackAddresses } from '@rekey/testing'
import pg from 'pg'
import { firstValueProved } from './first-value.ts'
import { type OwnRekey, outboundOf, startOwnRekey, workloadOf } from './own-rekey.ts'

/** A whole Rekey of its own, and two nodes whose applications log into a database, and call AWS, as users of their own. */
export type OutboundWorld = OwnRekey & {
  agents: SupervisedProcess[]
  login: Outbound
  accessKey: Outbound
  pair: RolePair
  user: IamUser
  /** Their applications' own. */
  table: string
  /** In the applications' database, as a superuser. */
  admin: pg.Pool
}

const SECRETS_REGION = 'eu-central-1'

export type OutboundOptions = {
  rollout?: Record<string, unknown>
  /** Extra environment of the rotator. */
  rotator?: Record<string, string>
}

export type Outbound = {
  credential: string
  /** Of its secret, in both stores. */
  path: string
  /** Where each node has it. */
  files: string[]
  /** Both stores as a client sees them that has no agent. */
  readers(): Readers
}

export async function startOutboundWorld(
  stack: StackAddresses,
  redisDatabase: number,
  options: OutboundOptions = {},
): Promise<OutboundWorld> {
  const closers: (() => Promise<unknown>)[] = []
  const close = async () => {
    for (const end of closers.splice(0).reverse()) await end()
  }
  try {
    return { ...(await build(stack, redisDatabase, options, closers)), close }
  } catch (error) {
    await close()
    throw error
  }
}

async function build(
  stack: StackAddresses,
  redisDatabase: number,
  { rollout = {}, rotator = {} }: OutboundOptions,
  closers: (() => Promise<unknown>)[],
): Promise<OutboundWorld> {
  const shop = `shop_${randomBytes(4).toString('hex')}`
  const shopUrl = await createDatabase({ postgres: { url: stack.postgresUrl } }, shop)
  const pair = await makeRolePair(shopUrl, shop)
  closers.push(() => pair.drop())
  const admin = new pg.Pool({ connectionString: shopUrl, max: 2 })
  admin.on('error', () => {})
  closers.push(() => admin.end())
  await admin.query(`create schema app authorization ${pair.owner}`)
  await admin.query(`create table app.visit (by text)`)
  await admin.query(`alter table app.visit owner to ${pair.owner}`)

  const user = await makeIamUser(
    {
      endpoint: stack.awsEndpoint,
      region: stack.awsRegion,
      adminCredentialsFile: stack.awsCredentialsFile,
    },
    shop,
    { actions: ['secretsmanager:ListSecrets'], resource: '*' },
  )
  closers.push(() => user.drop())

  const rekey = await startOwnRekey(stack, {
    name: 'outbound',
    redisDatabase,
    connections: { shop: pair.connection },
    rotator,
  })
  closers.push(() => rekey.close())
  const { id, dir, servers, control } = rekey
  const workload = `shop-${id}`
  const names = [`app-${id}-1`, `app-${id}-2`]
  const outbound = (name: string, path: string): Outbound => ({
    credential: `${name}-${id}`,
    path,
    files: names.map((node) => join(dir, node, `${name}.json`)),
    readers: () => readersOf(servers, { path, region: SECRETS_REGION }),
  })
  const login = outbound('login', `e2e/${id}/database`)
  const accessKey = outbound('key', `e2e/${id}/objects`)
  const document = ({ credential, path }: Outbound, purpose: string, authority: object) =>
    outboundOf(credential, {
      workload,
      purpose,
      authority: { ...authority, soakMs: 500 },
      stores: [
        { name: 'vault', kind: 'vault-kv', mount: 'secret', path },
        { name: 'aws', kind: 'aws-secrets-manager', region: SECRETS_REGION, secretId: path },
      ],
      rollout: { waves: [1, '100%'], quietMs: 1_000, expediteDrainMs: 4_000, ...rollout },
    })
  await control.configure(
    [
      workloadOf(workload),
      document(login, 'database', {
        kind: 'postgres-role-pair',
        pair: pair.pair,
        owner: pair.owner,
        connection: 'shop',
        endpoints: [{ name: 'primary', url: pair.endpoint }],
      }),
      // AWS says a last use in whole seconds; the local endpoint says it at once, and refuses at once what is deleted.
      document(accessKey, 'objects', {
        kind: 'aws-iam-access-key',
        user: user.user,
        usedLagMs: 4_000,
        refusalLagMs: 1_000,
      }),
    ],
    true,
  )
  const agents: SupervisedProcess[] = []
  for (const [index, name] of names.entries()) {
    const adapter = ({ credential, files }: Outbound, probe: string) => ({
      credential,
      kind: 'file',
      path: files[index],
      format: 'value',
      probe,
    })
    const adapters = [adapter(login, 'postgres'), adapter(accessKey, 'aws')]
    const env = { AWS_ENDPOINT_URL: stack.awsEndpoint, AWS_REGION: stack.awsRegion }
    agents.push(await rekey.join(name, workload, adapters, env))
  }
  for (const { credential } of [login, accessKey]) {
    await rekey.ended(`${credential}-g1`)
    await firstValueProved(control, credential, names.length)
  }
  return { ...rekey, agents, login, accessKey, pair, user, table: 'app.visit', admin }
}
