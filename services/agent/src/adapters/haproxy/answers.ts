/** What HAProxy prints on its stats socket, as data. */

import { isIP } from 'node:net'

export function parsePreparedVersion(answer: string): number | undefined {
  const found = /^New version created: (\d+)\s*$/m.exec(answer)
  return found ? Number(found[1]) : undefined
}

/** `show map`: lines of `0x… key value`. An answer without entries is an empty map. */
export function parseMap(answer: string): Map<string, string> {
  const entries = new Map<string, string>()
  for (const line of answer.split('\n')) {
    const found = /^0x[0-9a-f]+ (\S+) (\S+)\s*$/.exec(line)
    if (found?.[1] !== undefined && found[2] !== undefined) entries.set(found[1], found[2])
  }
  return entries
}

export function mapText(entries: Map<string, string>): string {
  return [...entries].map(([hash, keyId]) => `${hash} ${keyId}\n`).join('')
}

export function parseMapText(text: string): Map<string, string> {
  const entries = new Map<string, string>()
  for (const line of text.split('\n')) {
    const [hash, keyId] = line.trim().split(/\s+/)
    if (hash && keyId && !hash.startsWith('#')) entries.set(hash, keyId)
  }
  return entries
}

export type KeyCounters = {
  keyId: string
  inFlight: number
  expiresInMs: number
  requests: number
  /** Undefined: the table does not store `http_fail_cnt`. */
  failures: number | undefined
}

/** `show table`: lines of `0x…: key=K use=N exp=MS … http_req_cnt=N http_fail_cnt=N …`. Lines that do not fit are skipped. */
export function parseTable(answer: string): KeyCounters[] {
  const rows: KeyCounters[] = []
  for (const line of answer.split('\n')) {
    if (!line.startsWith('0x')) continue
    const fields = new Map<string, string>()
    for (const [, name, value] of line.matchAll(/([a-z_]+[0-9]*)(?:\([0-9]+\))?=(\S+)/g)) {
      if (name !== undefined && value !== undefined) fields.set(name, value)
    }
    const keyId = fields.get('key')
    const row = {
      inFlight: Number(fields.get('use')),
      expiresInMs: Number(fields.get('exp')),
      requests: Number(fields.get('http_req_cnt')),
    }
    const failed = fields.get('http_fail_cnt')
    const failures = failed === undefined ? undefined : Number(failed)
    if (keyId !== undefined && Object.values(row).every(Number.isFinite))
      rows.push({ keyId, ...row, failures })
  }
  return rows
}

/** `show info`: how long this process has been running, in whole seconds. */
export function parseUptimeMs(answer: string): number | undefined {
  const found = /^Uptime_sec: (\d+)\s*$/m.exec(answer)
  return found ? Number(found[1]) * 1_000 : undefined
}

/** Keys of the tables by client are `<key id>@<address>`; an IPv4 address on an IPv6 socket is said as what it is. */
export function clientOf(key: string): { keyId: string; address: string } | undefined {
  const at = key.indexOf('@')
  if (at < 1) return undefined
  const address = key.slice(at + 1).replace(/^::ffff:(?=\d+\.)/i, '')
  return isIP(address) === 0 ? undefined : { keyId: key.slice(0, at), address }
}

/** Whether it is a table, and not the complaint that there is none of that name. */
export const isTable = (answer: string) => answer.startsWith('# table:')
