import { ListSecretVersionIdsCommand, RotateSecretCommand } from '@aws-sdk/client-secrets-manager'
import { postgresLoginServer } from '@rekey/backend-postgres'
import { type Call, Secret, type StoredValue } from '@rekey/contracts'
import { makeRotatedSecret, type RotatedSecret } from '@rekey/local'
import {
  type AuthorityFaults,
  type AuthorityUnderTest,
  proxyFaults,
  type StackAddresses,
  startFaultProxy,
  startTcpFaultProxy,
} from '@rekey/testing'
import { connectRotations, connectSecretsManager, managedRotation } from '../src/index.ts'

type ManagedRotation = ReturnType<typeof managedRotation>

export type RotatedUnderTest = AuthorityUnderTest & {
  authority: ManagedRotation
  another: ManagedRotation
  secret: RotatedSecret
  keyIds: Record<number, string>
  keep(value: StoredValue): void
  /** The same, about another secret, in another region, or as somebody else. */
  bind(about: { secretId?: string; region?: string; credentialsFile?: string }): ManagedRotation
  /** Of each version that has labels. */
  labels(): Promise<Record<string, string[]>>
  close(): Promise<void>
}

export type GivenOptions = {
  days?: number
  functionMs?: number
  followMs?: number
  singleUser?: boolean
}

/** A secret with a rotation function, on the AWS endpoint and PostgreSQL, and ways there that can be broken. */
export async function givenRotatedSecret(
  stack: StackAddresses,
  { days, functionMs = 300_000, followMs = 3_000, singleUser = false }: GivenOptions = {},
): Promise<RotatedUnderTest> {
  const secret = await makeRotatedSecret(stack, { singleUser, ...(days !== undefined && { days }) })
  const database = new URL(stack.postgresUrl)
  const [aws, postgres] = [
    await startFaultProxy(stack.awsEndpoint),
    await startTcpFaultProxy({ host: database.hostname, port: Number(database.port) }),
  ]
  const through = (text: string) => {
    const way = new URL(text)
    way.port = String(postgres.port)
    return way.href
  }
  const keyIds: Record<number, string> = {}
  const closers: (() => void)[] = []
  const connect = (
    endpoint: string,
    way: (url: string) => string,
    {
      secretId = secret.secretId,
      region = stack.awsRegion,
      credentialsFile = stack.awsCredentialsFile,
    }: Parameters<RotatedUnderTest['bind']>[0] = {},
  ) => {
    const connection = { region, endpoint, credentialsFile, timeoutMs: 5_000 }
    const clients = {
      secrets: connectSecretsManager(connection),
      rotations: connectRotations(connection),
    }
    closers.push(clients.secrets.close, clients.rotations.close)
    const spec = {
      strategy: 'alternating-users' as const,
      region,
      secretId,
      functionMs,
      readersMs: 0,
      scheduleDaysMin: 365,
    }
    const server = postgresLoginServer(
      { endpoints: [{ name: 'primary', url: way(secret.endpoint) }], watcher: 'watcher' },
      { connection: () => Secret.of(way(secret.watcher)) },
    )
    return managedRotation(clients, spec, {
      credential: 'app',
      keyIds,
      server,
      followMs,
      pollMs: 20,
      finishMs: 500,
    })
  }
  const versions = async () => {
    const { Versions = [] } = await secret.aws.send(
      new ListSecretVersionIdsCommand({ SecretId: secret.secretId }),
    )
    return Object.fromEntries(
      Versions.map(({ VersionId = '', VersionStages = [] }) => [VersionId, VersionStages]),
    )
  }
  const keep = ({ generation, keyId }: StoredValue) => {
    keyIds[generation] = keyId
  }
  return {
    secret,
    keyIds,
    keep,
    labels: versions,
    authority: connect(aws.url, through),
    another: connect(stack.awsEndpoint, (url) => url),
    bind: (about) => connect(stack.awsEndpoint, (url) => url, about),
    faults: bothWays(
      proxyFaults(aws, {
        status: 400,
        headers: { 'content-type': 'application/x-amz-json-1.1' },
        body: '{"__type":"ThrottlingException"}',
      }),
      () => postgres,
    ),
    provider: {
      keep,
      standing: Object.keys(await versions()),
      sameAgain: true,
      async foreignMint() {
        const { VersionId = '' } = await secret.aws.send(
          new RotateSecretCommand({ SecretId: secret.secretId }),
        )
        for (;;) if ((await versions())[VersionId]?.includes('AWSCURRENT')) return VersionId
      },
      // The function overwrites what the run before made: an attempt of ours is ended by somebody else's run.
      tellsForeign: false,
      secretOf: (value) => Secret.of(JSON.parse(value.reveal()).password),
    },
    async close() {
      for (const end of closers) end()
      await Promise.all([aws.close(), postgres.close()])
      await secret.close()
    },
  }
}

/** What breaks everything breaks the database too: values are tried there. */
function bothWays(
  faults: AuthorityFaults,
  postgres: () => Awaited<ReturnType<typeof startTcpFaultProxy>>,
): AuthorityFaults {
  return {
    ...faults,
    hang() {
      faults.hang()
      postgres().arm('every', { kind: 'hang' })
    },
    throttle() {
      faults.throttle()
      postgres().arm('every', { kind: 'lose-request' })
    },
    down() {
      faults.down()
      postgres().arm('every', { kind: 'lose-request' })
    },
    heal() {
      faults.heal()
      postgres().heal()
    },
  }
}

export const callOf = (key: string, urgent = false): Call => ({
  key,
  signal: AbortSignal.timeout(15_000),
  ...(urgent && { urgent }),
})
