import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type IdentityName, provision, startStack } from '@rekey/local'

/** Vault, real, with Rekey's identities in it; and Kafka, where records of audit are written. */
export type LeakVault = {
  addr: string
  kafkaBrokers: string[]
  identitiesDir: string
  identity(name: IdentityName): { roleIdFile: string; secretIdFile: string }
  /** Undefined where somebody else started it. */
  pid: number | undefined
  stop(): Promise<void>
}

export async function startVault(say: (line: string) => void, kafka = false): Promise<LeakVault> {
  const stack = await startStack({ only: kafka ? ['vault', 'kafka'] : ['vault'], onProgress: say })
  try {
    const { dir: identitiesDir, of } = await provision(stack)
    return {
      addr: stack.vault.addr,
      kafkaBrokers: kafka ? stack.kafka.brokers : [],
      identitiesDir,
      identity(name) {
        const { vaultRoleIdFile, vaultSecretIdFile } = of(name)
        return { roleIdFile: vaultRoleIdFile, secretIdFile: vaultSecretIdFile }
      },
      pid: stack.servers.vault.origin === 'native' ? pidIn(join(stack.dir, 'run', 'vault')) : undefined,
      stop: () => stack.stop(),
    }
  } catch (error) {
    await stack.stop()
    throw error
  }
}

const pidIn = (file: string) => Number(readFileSync(file, 'utf8').split(' ')[0])
