import { readFileSync } from 'node:fs'
import { migrate } from '@rekey/ledger'
import { provision, type Stack, startStack } from '@rekey/local'
import type { StackAddresses } from '@rekey/testing'
import type { TestProject } from 'vitest/node'

type Shared = { started: Promise<{ stack: Stack; addresses: StackAddresses }>; users: number }

/** Each project loads this file anew, so the one stack of a run is kept where all of them find it. */
const SHARED = Symbol.for('rekey.test.servers')
const shelf = globalThis as { [SHARED]?: Shared }

/** Starts the real servers once for all integration and end-to-end tests of a run; the last project stops them. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const shared: Shared = shelf[SHARED] ?? { started: start(), users: 0 }
  shelf[SHARED] = shared
  shared.users++
  const { stack, addresses } = await shared.started
  project.provide('stack', addresses)
  return async () => {
    if (--shared.users === 0) await stack.stop()
  }
}

async function start() {
  const stack = await startStack({ onProgress: (line) => process.stderr.write(`servers: ${line}\n`) })
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
  return { stack, addresses }
}
