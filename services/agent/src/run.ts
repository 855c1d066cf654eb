import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { anonymousVault, connectVault } from '@rekey/backend-vault/reading'
import { Secret } from '@rekey/contracts'
import { createLogger, ensurePrivateFolder, onShutdown, pause } from '@rekey/runtime'
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
  // With an SVID it is replaced beside the serving, which does not wait for a fleet.
  if (!isExpired(identity, Date.now()) || config.svid) return identity
  if (config.joinTokenFile !== undefined && existsSync(config.joinTokenFile)) return enrolPatiently(config)
  // Serving goes on from the journal; only the fleet is out of reach.
  log.error({ expiresAt: identity.expiresAt }, 'the certificate has ended, ask for a new join token')
  return identity
}

type Serving = { identity: () => Identity; stop: () => Promise<void> }

async function serve(config: AgentConfig, identity: Identity): Promise<Serving> {
  const { roleId, secretId } = identity.vault
  const vault = connectVault({ addr: config.vault.addr, roleId, secretId: Secret.of(secretId) })
  const agent = new Agent(config, identity, vaultValues(vault), log)
  await agent.start()
  let ended: Promise<void> | undefined
  const end = async () => {
    await agent.stop()
    vault.close()
  }
  return {
    identity: () => agent.identity,
    stop() {
      ended ??= end()
      return ended
    },
  }
}

/** Runs until it is told to stop. */
export async function run(config: AgentConfig): Promise<void> {
  await ensurePrivateFolder(config.stateDir)
  let serving = await serve(config, await ownIdentity(config))
  const ending = new AbortController()
  onShutdown(log, async () => {
    ending.abort()
    await serving.stop()
  })
  log.info({ node: config.node }, 'the agent runs')
  if (!config.svid) return
  for (;;) {
    const next = await enrolledAnew(config, () => serving.identity(), ending.signal)
    if (!next) return
    // It goes on as a restarted agent would: with the new identity, and with nothing of what the old one had proved.
    await serving.stop()
    if (ending.signal.aborted) return
    serving = await serve(config, next)
  }
}

const LOOK_MS = 1_000

/** Waits for the end of a certificate that could not be renewed, and joins again. Serving goes on meanwhile. */
async function enrolledAnew(
  config: AgentConfig,
  identity: () => Identity,
  signal: AbortSignal,
): Promise<Identity | undefined> {
  let failures = 0
  while (!signal.aborted) {
    if (isExpired(identity(), Date.now())) {
      try {
        const next = await enrolled(config)
        return signal.aborted ? undefined : next
      } catch (error) {
        const detail = error instanceof EnrolmentError ? error.message : 'unexpected failure'
        log.error({ detail }, 'the certificate has ended, and the node could not enrol again yet')
        failures += 1
      }
    }
    await pause(failures === 0 ? LOOK_MS : backoffMs(failures, { baseMs: LOOK_MS, capMs: 60_000 }), signal)
  }
  return undefined
}

/** Enrols, and leaves it at that. */
export async function enrolOnce(config: AgentConfig): Promise<void> {
  await ensurePrivateFolder(config.stateDir)
  await enrolled(config)
}
