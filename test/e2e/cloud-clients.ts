import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { ListSecretsCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import { fromIni } from '@aws-sdk/credential-provider-ini'

const PROCESS = fileURLToPath(new URL('../../examples/report-bucket/credential-process.sh', import.meta.url))

/** How long a client keeps a key before it asks for it again. */
const KEPT_SECONDS = 2

export type CloudTally = { ok: number; failed: number; failures: string[] }

export type CloudClientsOptions = {
  /** Where nodes have the access key, as the agent writes it. */
  files: string[]
  /** For their profiles. */
  dir: string
  endpoint: string
  region: string
  /** Clients of each file. */
  each: number
  thinkMs: number
}

/**
 * Applications with the AWS SDK and a profile that says `credential_process`, as examples/report-bucket has it. Each
 * keeps one client for its whole life. Every answer is counted.
 */
export async function startCloudClients(options: CloudClientsOptions) {
  const { files, dir, each } = options
  const tally: CloudTally = { ok: 0, failed: 0, failures: [] }
  const stopping = new AbortController()
  await mkdir(dir, { recursive: true })
  const none = join(dir, 'none')
  await writeFile(none, '')
  const running = files.flatMap(async (file, index) => {
    const configFilepath = join(dir, `config-${index}`)
    await writeFile(
      configFilepath,
      `[profile app]\ncredential_process = /bin/sh ${PROCESS} ${file} ${KEPT_SECONDS}\n`,
    )
    const profile = { profile: 'app', configFilepath, filepath: none }
    await Promise.all(Array.from({ length: each }, () => run(profile, options, tally, stopping.signal)))
  })
  return {
    async stop(): Promise<CloudTally> {
      stopping.abort()
      await Promise.all(running)
      return tally
    },
  }
}

async function run(
  profile: { profile: string; configFilepath: string; filepath: string },
  { endpoint, region, thinkMs }: CloudClientsOptions,
  tally: CloudTally,
  stopping: AbortSignal,
): Promise<void> {
  const client = new SecretsManagerClient({
    endpoint,
    region,
    credentials: fromIni(profile),
    // An SDK's retry would hide what a request met.
    maxAttempts: 1,
  })
  while (!stopping.aborted) {
    try {
      await client.send(new ListSecretsCommand({ MaxResults: 1 }))
      tally.ok++
    } catch (error) {
      tally.failed++
      if (tally.failures.length < 10) tally.failures.push(String(error))
    }
    await delay(thinkMs)
  }
  client.destroy()
}
