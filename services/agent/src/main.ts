import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { anonymousVault, connectVault } from '@rekey/backend-vault'
import { Secret } from '@rekey/contracts'
import { createLogger, ensurePrivateFolder, onShutdown } from '@rekey/runtime'
import { Agent } from './agent.ts'
import { startAuthorizer } from './authorizer/authorizer.ts'
import { readAuthorizerConfig } from './authorizer/config.ts'
import { backoffMs } from './backoff.ts'
import { EXIT, HELP, readCommandLine } from './command-line.ts'
import { type AgentConfig, readConfigFile } from './config.ts'
import { ConfigError } from './config-file.ts'
import { EnrolmentError, enrol } from './enrolment.ts'
import { completeIdentity, type Identity, identityFiles, isExpired } from './identity.ts'
import { askStatus, isReady } from './status-socket.ts'
import { statusText } from './status-text.ts'
import { vaultUnwrap } from './unwrap.ts'
import { vaultValues } from './value-source.ts'

const log = createLogger({ service: 'agent' })

async function enrolNow(config: AgentConfig): Promise<Identity> {
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
      return await enrolNow(config)
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

async function run(config: AgentConfig): Promise<void> {
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

async function status(config: AgentConfig, json: boolean): Promise<number> {
  const answer = existsSync(config.stateDir) ? await askStatus(config.stateDir) : undefined
  if (!answer) {
    process.stdout.write(json ? `${JSON.stringify({ running: false })}\n` : 'no agent runs here\n')
    return EXIT.notRunning
  }
  const ready = isReady(answer)
  process.stdout.write(json ? `${JSON.stringify({ running: true, ready, ...answer })}\n` : statusText(answer))
  return ready ? EXIT.done : EXIT.notReady
}

async function main(): Promise<number | undefined> {
  const line = readCommandLine(process.argv.slice(2))
  if (line.command === 'help') {
    process.stdout.write(HELP)
    return EXIT.done
  }
  if (line.command === 'wrong') {
    process.stderr.write(`agent: ${line.why}\n\n${HELP}`)
    return EXIT.usage
  }
  if (line.command === 'authorizer') {
    const authorizer = await startAuthorizer(await readAuthorizerConfig(line.config), log)
    onShutdown(log, authorizer.stop)
    return undefined
  }
  const config = await readConfigFile(line.config)
  if (line.command === 'status') return status(config, line.json)
  if (line.command === 'enrol') {
    await ensurePrivateFolder(config.stateDir)
    await enrolNow(config)
    return EXIT.done
  }
  await run(config)
  return undefined
}

try {
  const code = await main()
  if (code !== undefined) process.exit(code)
} catch (error) {
  process.stderr.write(`agent: ${(error as Error).message}\n`)
  if (error instanceof ConfigError) process.exit(EXIT.usage)
  process.exit(error instanceof EnrolmentError && !error.transient ? EXIT.notEnrolled : EXIT.error)
}
