import type { AgentStatus } from './status-socket.ts'
import { isReady } from './status-socket.ts'

/** The status for a person at a terminal. */
export function statusText(status: AgentStatus): string {
  const lines = [
    `node         ${status.node}`,
    `ready        ${isReady(status) ? 'yes' : 'no'}`,
    `fleet        ${status.session === null ? 'not connected' : `session ${status.session}`}`,
    `certificate  until ${status.certificateExpiresAt}`,
  ]
  for (const c of status.credentials) {
    const accept = c.accept.length === 0 ? 'nothing yet' : c.accept.map((g) => `generation ${g}`).join(', ')
    const revision = `revision ${c.appliedRevision ?? '-'} of ${c.desiredRevision ?? '-'}`
    lines.push(`${c.credential} (${c.kind})  accepts ${accept}; ${revision}`)
    if (c.knocks === 'not counted') lines.push('  knocks with dead keys are not counted here')
    if (c.problem !== null) lines.push(`  problem: ${c.problem}`)
  }
  return `${lines.join('\n')}\n`
}
