import { connectIam, connectSecretsInventory, type Iam, type SecretsInventory } from '@rekey/backend-aws'

/** What lists names in AWS, a client for each region. */
export function inventoriesOf(awsCredentialsFile: string | undefined) {
  const secrets = new Map<string, SecretsInventory>()
  const iam = new Map<string, Iam>()
  const file = awsCredentialsFile === undefined ? {} : { credentialsFile: awsCredentialsFile }
  return {
    secrets: (region: string) => kept(secrets, region, () => connectSecretsInventory({ region, ...file })),
    iam: (region: string) => kept(iam, region, () => connectIam({ region, ...file })),
    close() {
      for (const client of [...secrets.values(), ...iam.values()]) client.close()
    },
  }
}

function kept<T>(known: Map<string, T>, region: string, make: () => T): T {
  const found = known.get(region) ?? make()
  known.set(region, found)
  return found
}
