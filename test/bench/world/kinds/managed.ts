import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import {
  DescribeSecretCommand,
  GetSecretValueCommand,
  InvalidRequestException,
  RotateSecretCommand,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager'
import { connectRotations, connectSecretsManager, managedRotation } from '@rekey/backend-aws'
import { postgresLoginServer } from '@rekey/backend-postgres'
import { Secret } from '@rekey/contracts'
import { makeRotatedSecret } from '@rekey/local'
import type { Servers } from '../../servers.ts'
import type { AwsPlace } from '../aws-place.ts'
import { expectRefused, type Kind, logIn, replacing } from './kind.ts'

const POLL_MS = 20

export async function managed(place: AwsPlace, servers: Servers): Promise<Kind> {
  const { endpoint, region, adminCredentialsFile } = place.stack.aws
  const postgresUrl = await servers.createDatabase()
  const make = () =>
    makeRotatedSecret({
      awsEndpoint: endpoint,
      awsRegion: region,
      awsCredentialsFile: adminCredentialsFile,
      postgresUrl,
    })
  const [own, theirs] = [await make(), await make()]
  const connection = { region, endpoint, credentialsFile: adminCredentialsFile }
  const [secrets, rotations] = [connectSecretsManager(connection), connectRotations(connection)]
  const keyIds: Record<number, string> = {}
  const authority = managedRotation(
    { secrets, rotations },
    {
      strategy: 'alternating-users',
      region,
      secretId: own.secretId,
      functionMs: 300_000,
      readersMs: 0,
      scheduleDaysMin: 365,
    },
    {
      credential: `bench-${randomUUID()}`,
      keyIds,
      server: postgresLoginServer(
        { endpoints: [{ name: 'primary', url: own.endpoint }], watcher: 'bench' },
        { connection: () => Secret.of(own.watcher) },
      ),
      pollMs: POLL_MS,
    },
  )
  const about = { SecretId: theirs.secretId }
  const currentOf = async () => {
    const { VersionIdsToStages = {} } = await theirs.aws.send(new DescribeSecretCommand(about))
    return Object.entries(VersionIdsToStages).find(([, labels]) => labels.includes('AWSCURRENT'))?.[0]
  }
  /** AWS notices some time after its end that a run is done, and takes no other until then. */
  const begin = async (): Promise<string> => {
    for (;;) {
      try {
        return (await theirs.aws.send(new RotateSecretCommand(about))).VersionId ?? ''
      } catch (error) {
        if (!(error instanceof InvalidRequestException)) throw error
        await delay(POLL_MS)
      }
    }
  }
  /** The version id of what the function made. */
  const run = async () => {
    const VersionId = await begin()
    while ((await currentOf()) !== VersionId) await delay(POLL_MS)
    return VersionId
  }
  let old: { username: string; password: string } | undefined
  return {
    kind: 'aws-managed-rotation',
    ours: replacing(authority, keyIds),
    async bare() {
      const next = await run()
      const { SecretString = '' } = await theirs.aws.send(
        new GetSecretValueCommand({ ...about, VersionId: next }),
      )
      const made = JSON.parse(SecretString) as { username: string; password: string }
      await logIn(theirs.endpoint, made.username, made.password)
      if (old) {
        // The run after it sets the user before it, and its value is for nobody.
        const spare = await run()
        await theirs.aws.send(
          new UpdateSecretVersionStageCommand({
            ...about,
            VersionStage: 'AWSCURRENT',
            MoveToVersionId: next,
            RemoveFromVersionId: spare,
          }),
        )
        await expectRefused(logIn(theirs.endpoint, old.username, old.password), '28P01')
      }
      old = made
    },
    async close() {
      for (const client of [secrets, rotations]) client.close()
      for (const secret of [own, theirs]) await secret.close()
    },
  }
}
