import { join } from 'node:path'
import { type Identities, identitiesIn, makeIdentityFolders } from './identities.ts'
import { provisionAws } from './provision-aws.ts'
import { provisionVault } from './provision-vault.ts'
import type { Stack } from './stack.ts'
import { createTopics } from './topics.ts'

/** Room for records of 2 MB: a consumer must refuse such a thing politely, so somebody must be able to send it. */
const ROOMY = { 'max.message.bytes': '4194304' }

/** In whose names the service `webhooks` speaks. */
const WEBHOOKS = ['github', 'argocd', 'flux']

export type ProvisionOptions = {
  /** Others, as names in `rekey.changes.NAME.v1`. */
  emitters?: readonly string[]
}

/** Topics, mounts, policies and identities for Rekey's services; what is there already and works is left as it is. */
export async function provision(stack: Stack, options: ProvisionOptions = {}): Promise<Identities> {
  const identities = identitiesIn(join(stack.dir, 'identities'))
  await makeIdentityFolders(identities)
  const emitters = [...WEBHOOKS, ...(options.emitters ?? ['demo'])]
  const changes = [...new Set(emitters)].map((emitter) => `rekey.changes.${emitter}.v1`)
  await Promise.all([
    stack.kafka.brokers.length > 0 && provisionTopics(stack, changes),
    stack.vault.addr !== '' && provisionVault(stack.vault, identities),
    stack.aws.endpoint !== '' && provisionAws(stack.aws, identities),
  ])
  return identities
}

async function provisionTopics(stack: Stack, changes: readonly string[]): Promise<void> {
  await createTopics(stack, changes, { partitions: 4, config: ROOMY })
  await createTopics(stack, ['rekey.verdicts.v1', 'rekey.dead-letter.v1'], { partitions: 4 })
  // One partition: the records are a chain, and only one partition keeps their order.
  await createTopics(stack, ['rekey.audit.v1'], { partitions: 1 })
}
