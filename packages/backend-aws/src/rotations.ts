import {
  DescribeSecretCommand,
  RotateSecretCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager'
import { RekeyError } from '@rekey/contracts'
import type { Labels } from './client.ts'
import { type AwsConnection, type Bound, boundBy, clientOptions, quotaOf } from './connection.ts'

/** What AWS says of a secret that has a rotation function. */
export type RotatedSecretFacts = {
  labels: Labels
  /** The ARN of the function; undefined: there is none. */
  functionArn: string | undefined
  /** Somebody may have turned rotation off, and left the function where it is. */
  isEnabled: boolean
  /** The service of AWS that the secret belongs to, and that alone may change it. */
  owningService: string | undefined
  /** How often AWS starts the function by itself, as AWS has worked it out from the schedule. */
  scheduleDays: number | undefined
  /** When anything of it was changed last, milliseconds since the epoch on AWS's clock. */
  changedAt: number
  /** When AWS last saw the function done, on the same clock; 0: never. */
  rotatedAt: number
}

/** The calls about a secret's own rotation. Throws RekeyError only, and one request each. */
export type Rotations = {
  facts(secretId: string, bound?: Bound): Promise<RotatedSecretFacts>
  /**
   * Starts the function for a new version with this id, or for none where that version exists. `busy`: another version is
   * still pending, and AWS has the function try that one again.
   */
  rotate(secretId: string, token: string, bound?: Bound): Promise<'started' | 'busy'>
  close(): void
}

export function connectRotations(connection: AwsConnection): Rotations {
  const client = new SecretsManagerClient(clientOptions(connection))
  const within = boundBy(connection)
  const quota = { read: quotaOf(connection, 'read'), write: quotaOf(connection, 'write') }
  return {
    async facts(SecretId, bound = {}) {
      const what = `describe the secret ${SecretId}`
      const found = await within(
        what,
        bound,
        (abortSignal) => client.send(new DescribeSecretCommand({ SecretId }), { abortSignal }),
        quota.read,
      ).catch(explained(what, connection.region))
      if (found.DeletedDate)
        throw new RekeyError('not_found', `${what}: it is scheduled for deletion; restore it`)
      if (!found.ARN) throw new RekeyError('bad_response', `${what}: AWS sent an empty answer`)
      if (found.PrimaryRegion && found.PrimaryRegion !== connection.region)
        throw new RekeyError(
          'invalid_configuration',
          `${what}: in ${connection.region} it is a replica; give the region of its primary, ${found.PrimaryRegion}`,
        )
      return {
        labels: new Map(Object.entries(found.VersionIdsToStages ?? {})),
        functionArn: found.RotationLambdaARN,
        isEnabled: found.RotationEnabled ?? false,
        owningService: found.OwningService,
        scheduleDays: found.RotationRules?.AutomaticallyAfterDays,
        changedAt: found.LastChangedDate?.getTime() ?? 0,
        rotatedAt: found.LastRotatedDate?.getTime() ?? 0,
      }
    },

    async rotate(SecretId, token, bound = {}) {
      const what = `rotate the secret ${SecretId}`
      const command = new RotateSecretCommand({ SecretId, ClientRequestToken: token })
      try {
        const started = await within(
          what,
          bound,
          (abortSignal) => client.send(command, { abortSignal }),
          quota.write,
        )
        if (started.VersionId !== token)
          throw new RekeyError('bad_response', `${what}: AWS sent another version id than was asked for`)
        return 'started'
      } catch (error) {
        if (!RekeyError.is(error)) throw error
        // Of a secret with a function that rotates, AWS refuses this for one reason.
        if (error.code === 'invalid_configuration') return 'busy'
        if (error.code === 'permission_denied')
          throw new RekeyError(
            'permission_denied',
            `${what}: needs secretsmanager:RotateSecret on it and lambda:InvokeFunction on its function, and the function's own policy must let secretsmanager.amazonaws.com invoke it`,
          )
        return explained(what, connection.region)(error)
      }
    },

    close: () => client.destroy(),
  }
}

const explained =
  (what: string, region: string) =>
  (error: unknown): never => {
    if (RekeyError.is(error) && error.code === 'not_found')
      throw new RekeyError('not_found', `${what}: there is none of that name in ${region}, in this account`)
    throw error
  }
