import { ListSecretsCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import type { ListedName } from '@rekey/contracts'
import { type AwsConnection, type Bound, boundBy, clientOptions } from './connection.ts'

/** The most that AWS gives at once. */
const PAGE = 100

/** The names of secrets in one region, and nothing else of them. */
export type SecretsInventory = {
  /** One page of the names that begin so, and where the next one begins. What is to be deleted is left out. */
  page(
    prefix: string,
    from: string | undefined,
    bound?: Bound,
  ): Promise<{ names: ListedName[]; next: string | undefined }>
  close(): void
}

export function connectSecretsInventory(connection: AwsConnection): SecretsInventory {
  const client = new SecretsManagerClient(clientOptions(connection))
  const within = boundBy(connection)
  return {
    async page(prefix, from, bound = {}) {
      const what = `list the secrets of ${connection.region}${prefix === '' ? '' : ` whose names begin with ${prefix}`}`
      const command = new ListSecretsCommand({
        MaxResults: PAGE,
        ...(prefix !== '' && { Filters: [{ Key: 'name', Values: [prefix] }] }),
        ...(from !== undefined && { NextToken: from }),
      })
      const found = await within(what, bound, (abortSignal) => client.send(command, { abortSignal }))
      const names = (found.SecretList ?? []).flatMap(
        ({ Name, CreatedDate, LastChangedDate, DeletedDate }) => {
          // AWS's filter takes no notice of upper and lower case.
          if (Name === undefined || !Name.startsWith(prefix) || DeletedDate) return []
          return [{ name: Name, changedAt: (LastChangedDate ?? CreatedDate)?.toISOString() ?? null }]
        },
      )
      return { names, next: found.NextToken }
    },

    close: () => client.destroy(),
  }
}
