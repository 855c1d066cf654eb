import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { anonymousVault, connectVault } from '@rekey/backend-vault/reading'
import { Secret } from '@rekey/contracts'
import { createLogger, ensurePrivateFolder, onShutdown } from '@rekey/runtime'
import { Agent } from './agent.ts'
import { backoffMs } from './backoff.ts'
import type { AgentConfig } from './config.ts'
import { enrol } from './enrolment.ts'
import { EnrolmentError } from './enrolment-error.ts'
import { completeIdentity, type Identity, identityFiles, isExpired } from './identity.ts'
import { vaultUnwrap } from './unwrap.ts'
import { vaultValues } from './value-source.ts'

const log = createLogger({ service: 'agent' })

async function enrolled(config: AgentConfig): Promise<Identity> {
  const vault = anonymousVault({ addr: config.vault.addr })
  try {
    return await enrol(config, { unwrap: vaultUnwrap(vault), log })
  } finally {
    vault.close()
  }
}

/** A fleet or a Vault that is not up yet is waited for; anything else needs a human. */
async function enrolPatiently(config: AgentConfig): Promise<Identity> {
  for (let failures = 0; ; failures += 1) {
    try {
      return await enrolled(config)
    } catch (error) {
      if (!(error instanceof EnrolmentError) || !error.transient) throw error
      log.warn({ detail: error.message }, 'not enrolled yet, trying again')
      await sleep(backoffMs(failures, { baseMs: 500, capMs: 15_000 }))
    }
  }
}

async function ownIdentity(config: AgentConfig): Promise<Identity> {
  const identity = completeIdentity(await identityFiles(config.stateDir).load())
  if (!identity) return enrolPatiently(config)
  if (!isExpired(identity, Date.now())) return identity
  if (config.joinTokenFile !== undefined && existsSync(config.joinTokenFile)) return enrolPatiently(config)
  // Serving goes on from the journal; only the fleet is out of reach.
  log.error({ expiresAt: identity.expiresAt }, 'the certificate has ended, ask for a new join token')
  return identity
}

/** Runs until it is told to stop. */
export async function run(config: AgentConfig): Promise<void> {
  await ensurePrivateFolder(config.stateDir)
  const identity = await ownIdentity(config)
  const { roleId, secretId } = identity.vault
  const vault = connectVault({ addr: config.vault.addr, roleId, secretId: Secret.of(secretId) })
  const agent = new Agent(config, identity, vaultValues(vault), log)
  onShutdown(log, async () => {
    await agent.stop()
    vault.close()
  })
  await agent.start()
  log.info({ node: config.node }, 'the agent runs')
}

/** Enrols, and leaves it at that. */
export async function enrolOnce(config: AgentConfig): Promise<void> {
  await ensurePrivateFolder(config.stateDir)
  await enrolled(config)
}
