import { readFileSync } from 'node:fs'
import { migrate } from '@rekey/ledger'
import { provision, startStack } from '@rekey/local'
import type { StackAddresses } from '@rekey/testing'
import type { TestProject } from 'vitest/node'

/** Starts the real servers once for all integration and end-to-end tests of a run. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const onProgress = (line: string) => process.stderr.write(`servers: ${line}\n`)
  const stack = await startStack({ ports: 'free', onProgress })
  const identities = await provision(stack)
  await migrate(stack.postgres.url)
  const addresses: StackAddresses = {
    kafkaBrokers: stack.kafka.brokers,
    redisUrl: stack.redis.url,
    postgresUrl: stack.postgres.url,
    vaultAddr: stack.vault.addr,
    vaultRootToken: readFileSync(stack.vault.rootTokenFile, 'utf8').trim(),
    awsEndpoint: stack.aws.endpoint,
    awsRegion: stack.aws.region,
    awsCredentialsFile: stack.aws.adminCredentialsFile,
    identitiesDir: identities.dir,
  }
  project.provide('stack', addresses)
  return () => stack.stop()
}
