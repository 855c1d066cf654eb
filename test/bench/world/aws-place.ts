import { readFileSync } from 'node:fs'
import { connectVault, withToken } from '@rekey/backend-vault'
import { Secret } from '@rekey/contracts'
import { provision, type Stack, startStack } from '@rekey/local'

/** Secrets Manager as strict as AWS in this, and Vault: real servers of this run alone. */
export type AwsPlace = {
  stack: Stack
  /** As the rotator works on them. */
  rotator: { credentialsFile: string; roleId: string; secretIdFile: string }
  stop(): Promise<void>
}

const SWITCHES = ['REKEY_STACK_AWS_QUOTA', 'REKEY_STACK_DOCKER'] as const

/** `writesPerS`: what the endpoint refuses beyond, for each account and region. */
export async function startAws(writesPerS: number, say: (line: string) => void): Promise<AwsPlace> {
  const before = SWITCHES.map((name) => [name, process.env[name]] as const)
  process.env.REKEY_STACK_AWS_QUOTA = String(writesPerS)
  process.env.REKEY_STACK_DOCKER = 'no'
  const stack = await startStack({ only: ['aws', 'vault'], own: true, onProgress: say }).finally(() => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  })
  try {
    const { awsCredentialsFile, vaultRoleIdFile, vaultSecretIdFile } = (await provision(stack)).of('rotator')
    return {
      stack,
      rotator: {
        credentialsFile: awsCredentialsFile ?? stack.aws.adminCredentialsFile,
        roleId: readFileSync(vaultRoleIdFile, 'utf8').trim(),
        secretIdFile: vaultSecretIdFile,
      },
      stop: () => stack.stop(),
    }
  } catch (error) {
    await stack.stop()
    throw error
  }
}

export function vaultOf({ rotator }: AwsPlace, addr: string) {
  return connectVault({ addr, roleId: rotator.roleId, secretIdFile: rotator.secretIdFile })
}

export const rootTokenOf = ({ stack }: AwsPlace) =>
  Secret.of(readFileSync(stack.vault.rootTokenFile, 'utf8').trim())

export const rootOf = (place: AwsPlace) =>
  withToken({ addr: place.stack.vault.addr, token: rootTokenOf(place) })
