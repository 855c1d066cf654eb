import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { connectVault } from '@rekey/backend-vault'
import { builtVault, forget, watch } from '@rekey/local'
import { nowMs } from '../../fleet/clock.ts'
import type { LeakVault } from '../nodes/vault.ts'

/** `rendered`: milliseconds until its file had the next value; `waited`: not in so many. */
export type AgentSeen = { rendered: number } | { waited: number }

const PATH = 'bench/vault-agent'
const FIRST_MS = 30_000

/**
 * Vault Agent with its defaults, and a template of one KV value: how long until its file has what was written to Vault?
 * Undefined where there is no binary to run.
 */
export async function watchVaultAgent(vault: LeakVault, waitMs: number): Promise<AgentSeen | undefined> {
  const binary = builtVault()
  if (binary === undefined) return undefined
  const { roleIdFile, secretIdFile } = vault.identity('rotator')
  const writer = connectVault({
    addr: vault.addr,
    roleId: readFileSync(roleIdFile, 'utf8').trim(),
    secretIdFile,
  })
  const dir = await mkdtemp(join(tmpdir(), 'rekey-vault-agent-'))
  const rendered = join(dir, 'value')
  const put = async () => {
    const value = randomBytes(16).toString('hex')
    await writer.kvWrite('secret', PATH, { value })
    return { value, writtenAt: nowMs() }
  }
  const first = await put()
  const config = join(dir, 'agent.hcl')
  await writeFile(config, configuration(vault, rendered))
  const log = openSync(join(dir, 'log'), 'a')
  // Only its file matters; an environment of its own, so that no token or address of ours is in it.
  const agent = spawn(binary, ['agent', `-config=${config}`], {
    env: { HOME: dir, PATH: process.env.PATH ?? '' },
    stdio: ['ignore', log, log],
    detached: true,
  })
  closeSync(log)
  const guarded = agent.pid === undefined ? undefined : (`group ${agent.pid} KILL` as const)
  if (guarded) watch(guarded)
  agent.unref()
  const shows = async (value: string, limitMs: number): Promise<boolean> => {
    for (const until = nowMs() + limitMs; nowMs() < until; await delay(20)) {
      const text = await readFile(rendered, 'utf8').catch(() => '')
      if (text === value) return true
      if (agent.exitCode !== null)
        throw new Error(`vault agent ended: ${await readFile(join(dir, 'log'), 'utf8')}`)
    }
    return false
  }
  try {
    if (!(await shows(first.value, FIRST_MS)))
      throw new Error(`vault agent rendered nothing: ${await readFile(join(dir, 'log'), 'utf8')}`)
    const next = await put()
    const isThere = await shows(next.value, waitMs)
    const ms = nowMs() - next.writtenAt
    return isThere ? { rendered: ms } : { waited: ms }
  } finally {
    agent.kill('SIGKILL')
    if (guarded) forget(guarded)
    writer.close()
    await rm(dir, { recursive: true, force: true })
  }
}

/** No `template_config`: its polling interval is the default. */
function configuration(vault: LeakVault, destination: string): string {
  const { roleIdFile, secretIdFile } = vault.identity('reader')
  return `
vault { address = "${vault.addr}" }
auto_auth {
  method "approle" {
    config = {
      role_id_file_path = "${roleIdFile}"
      secret_id_file_path = "${secretIdFile}"
      remove_secret_id_file_after_reading = false
    }
  }
}
template {
  contents = "{{ with secret \\"secret/data/${PATH}\\" }}{{ .Data.data.value }}{{ end }}"
  destination = "${destination}"
}
`
}
