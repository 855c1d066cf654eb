import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SupervisedProcess } from './process.ts'
import type { Platform } from './services.ts'

/** How often it looks at its gateway, as in the agent's own configuration. */
export type AgentSettings = { pollMs?: number; usageMs?: number }

export type AgentOptions = {
  /** Node name, such as `gateway-1`. */
  name: string
  /** The node's folder: its state, its log. */
  dir: string
  fleet: Platform['fleet']
  vaultAddr: string
  joinToken: string
  /** As in the agent's own configuration. */
  adapters: Record<string, unknown>[]
  labels?: Record<string, string>
  env?: Record<string, string>
  settings?: AgentSettings
}

export const AGENT = new URL('../../../services/agent/src/main.ts', import.meta.url)

/** Rekey's agent of one node; it enrols by itself. Resolves when it has a session. */
export async function startAgent(options: AgentOptions): Promise<SupervisedProcess> {
  const { name, dir, fleet, vaultAddr, joinToken, adapters, labels, settings } = options
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const joinTokenFile = join(dir, 'join-token')
  await writeFile(joinTokenFile, joinToken, { mode: 0o600 })
  const config = join(dir, 'agent.json')
  const stateDir = join(dir, 'state')
  // JSON is YAML.
  await writeFile(
    config,
    JSON.stringify({
      node: name,
      fleet,
      joinTokenFile,
      stateDir,
      vault: { addr: vaultAddr },
      adapters,
      ...(labels && { labels }),
      ...settings,
    }),
  )
  const agent = new SupervisedProcess({
    name: `agent-${name}`,
    main: AGENT,
    args: ['run', '--config', config],
    env: options.env ?? {},
    logFile: join(dir, 'agent.log'),
    ready: /a session is open|connected|session/,
  })
  await agent.start()
  return agent
}
