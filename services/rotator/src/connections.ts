import { join } from 'node:path'
import {
  type AwsConnection,
  connectIam,
  connectRotations,
  connectSecretsManager,
  type Iam,
  type Quotas,
  type Rotations,
  type SecretsManager,
} from '@rekey/backend-aws'
import { connectVault, type VaultClient } from '@rekey/backend-vault'
import { RekeyError, ROTATOR_AWS, ROTATOR_VAULT, type Secret } from '@rekey/contracts'
import { secretFile } from '@rekey/runtime'

/**
 * What the rotator works on authorities with, by name. Each is a credential like any other and is rotated under it: a file
 * is read again for each call, or login.
 */
export type Connections = {
  /** What the file of a connection holds now. Throws `invalid_configuration` where there is none. */
  file(name: string): Secret
  vault(name: string): VaultClient
  iam(name: string, region: string): Iam
  /** For secrets that have a rotation function of their own. */
  rotated(name: string, region: string): RotatedSecrets
  close(): void
}

export type RotatedSecrets = { secrets: SecretsManager; rotations: Rotations }

export type ConnectionsOptions = {
  /** Holds a file for each connection, or for Vault a folder with `role-id` and `secret-id`. */
  dir: string | undefined
  vaultAddr: string
  /** The Vault identity that the rotator was started with. */
  vault: VaultClient
  /** Its AWS identity; without it the SDK's own chain. */
  awsCredentialsFile?: string | undefined
  awsQuotas?: Quotas | undefined
}

export function connectionsOf({
  dir,
  vaultAddr,
  vault,
  awsCredentialsFile,
  awsQuotas: quotas,
}: ConnectionsOptions): Connections {
  const pathOf = (name: string, file = '') => {
    if (dir !== undefined) return join(dir, name, file)
    throw new RekeyError(
      'invalid_configuration',
      `connection ${name}: REKEY_CONNECTIONS_DIR is not set at the rotator`,
    )
  }
  const vaults = new Map<string, VaultClient>([[ROTATOR_VAULT, vault]])
  const iams = new Map<string, Iam>()
  const rotated = new Map<string, RotatedSecrets>()
  const inAws = (name: string, region: string): AwsConnection => {
    const file = name === ROTATOR_AWS ? awsCredentialsFile : pathOf(name)
    return { region, ...(file !== undefined && { credentialsFile: file }), ...(quotas && { quotas }) }
  }
  return {
    file: (name) => secretFile(pathOf(name)),
    vault: (name) =>
      kept(vaults, name, () =>
        connectVault({
          addr: vaultAddr,
          roleId: secretFile(pathOf(name, 'role-id')).reveal(),
          secretIdFile: pathOf(name, 'secret-id'),
        }),
      ),
    iam: (name, region) => kept(iams, `${name} ${region}`, () => connectIam(inAws(name, region))),
    rotated: (name, region) =>
      kept(rotated, `${name} ${region}`, () => ({
        secrets: connectSecretsManager(inAws(name, region)),
        rotations: connectRotations(inAws(name, region)),
      })),
    close() {
      for (const [name, client] of vaults) if (name !== ROTATOR_VAULT) client.close()
      for (const client of iams.values()) client.close()
      for (const { secrets, rotations } of rotated.values())
        for (const one of [secrets, rotations]) one.close()
    },
  }
}

function kept<T>(all: Map<string, T>, name: string, make: () => T): T {
  const known = all.get(name)
  if (known !== undefined) return known
  const made = make()
  all.set(name, made)
  return made
}
