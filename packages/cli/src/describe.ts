import type { ProbeSeen, RotationEvent } from '@rekey/core'
import type { JournalEntry } from '@rekey/ledger'

/** A journal entry in plain words. A phase that begins is named first. */
export function describe(entry: JournalEntry): string {
  const event = { type: entry.type, ...entry.data } as RotationEvent
  switch (event.type) {
    case 'RotationOpened': {
      const what =
        event.base === null
          ? `generation ${event.generation} will be the first value`
          : `generation ${event.generation} will replace generation ${event.base}`
      return `Planned: ${what} of ${event.credential} (${because(event.cause)})`
    }
    case 'CauseJoined':
      return `one more cause joins this rotation (${because(event.cause)})`
    case 'FollowUpNoted':
      return `one more cause waits for the rotation after this one (${because(event.cause)})`
    case 'StagingStarted': {
      const nodes = event.waves.flat().length
      const told =
        nodes === 0 ? 'no node yet' : `${count(nodes, 'node')} in ${count(event.waves.length, 'wave')}`
      return `Staging: making generation ${event.generation}; ${told}`
    }
    case 'ValueStaged':
      return `store ${event.store} holds generation ${event.generation} as pending`
    case 'RollingStarted':
      return `Rolling: nodes learn to accept generation ${event.generation}`
    case 'WaveStarted':
      return waveStarted(event)
    case 'WaveProved': {
      // Before the first node is enrolled, a wave is empty and proves nothing.
      if (event.nodes.length === 0 && event.excused.length === 0) return `wave ${event.wave + 1}: ${NOBODY}`
      const excused = event.excused.length > 0 ? `; excused: ${names(event.excused)}` : ''
      return `wave ${event.wave + 1} ${PROVED[event.purpose]} by ${names(event.nodes)}${excused}`
    }
    case 'NodeNacked':
      return `${event.node} could not take it: ${event.reason} (${event.detail})`
    case 'PromotionAsked':
      return `Promoting: store ${event.store} moves to generation ${event.generation}`
    case 'StorePromoted':
      return `store ${event.store} shows generation ${event.generation} as current`
    case 'ConfirmingStarted':
      return 'Confirming: the stores have moved; every node proves again'
    case 'BaselineProbed':
      return event.conclusive
        ? `probe: the old value was still accepted at ${endpoints(event.results)}`
        : `probe: that the old value is still accepted could not be shown: ${endpoints(event.results)}`
    case 'SuccessorLive':
      return `generation ${event.generation} is live: every node there is has proved it`
    case 'SuccessorAbandoned':
      return `RollingBack: generation ${event.generation} is given up by ${event.actor}: ${event.reason}`
    case 'RetirementOpened': {
      const back = event.restore.length > 0 ? `; stores to put back: ${event.restore.join(', ')}` : ''
      return `generation ${event.generation} must end, because it was ${event.because}${back}`
    }
    case 'StoreRestored':
      return `store ${event.store} shows the old value again`
    case 'DrainingStarted':
      return `Draining: waiting until nobody uses generation ${event.generation}`
    case 'RevocationAnnounced':
      return `generation ${event.generation} is unused; the audit topic is told that it will be revoked`
    case 'AuditAcknowledged':
      return `the audit topic has the intent to revoke generation ${event.generation}`
    case 'RevocationStarted':
      return `Revoking: nodes stop accepting generation ${event.generation}; there is no way back from here`
    case 'ProvingStarted':
      return `Proving: is generation ${event.generation} dead?`
    case 'RefusalProbed':
      return event.conclusive
        ? `probe: generation ${event.generation} is refused at ${endpoints(event.results)}`
        : `probe: not yet shown that generation ${event.generation} is refused: ${endpoints(event.results)}`
    case 'StoreDestroyed':
      return `store ${event.store} destroyed generation ${event.generation}`
    case 'GenerationDead':
      return `generation ${event.generation} is dead${exceptions(event.exceptions)}`
    case 'HoldPlaced':
      return `HELD: ${event.hold.reason.replaceAll('_', ' ')}: ${event.hold.detail}`
    case 'HoldLifted':
      return `no longer held: ${event.because}`
    case 'RotationClosed':
      return `${event.outcome === 'closed' ? 'Closed' : 'RolledBack'}${exceptions(event.exceptions)}`
    default:
      // A newer control may write entries that this command line does not know.
      event satisfies never
      return entry.type
  }
}

const NOBODY = 'no node is there yet to be told'

const PROVED = {
  widen: 'is proved',
  confirm: 'is proved again',
  narrow: 'is closed to the old value, proved',
}

function waveStarted(event: Extract<RotationEvent, { type: 'WaveStarted' }>): string {
  if (event.nodes.length === 0) return `wave ${event.wave + 1}: ${NOBODY}`
  const wave = `wave ${event.wave + 1}/${event.waves.length}: ${names(event.nodes)}`
  switch (event.purpose) {
    case 'widen':
      return `${wave} shall accept ${generations(event.accept)}`
    case 'confirm':
      return `${wave} shall prove again to accept ${generations(event.accept)}`
    case 'narrow':
      return `${wave} shall refuse ${generations(event.refuse)}`
    default:
      return event.purpose satisfies never
  }
}

function because({
  kind,
  actor,
  rule,
  reason,
}: {
  kind: string
  actor: string
  rule?: string
  reason: string
}) {
  if (kind === 'order') return `ordered by ${actor}: ${reason}`
  return rule === undefined ? reason : `rule ${rule}: ${reason}`
}

function names(nodes: string[]): string {
  if (nodes.length === 0) return 'no node'
  if (nodes.length <= 3) return nodes.join(', ')
  return `${nodes.length} nodes (${nodes.slice(0, 2).join(', ')}, …)`
}

function generations(list: number[]): string {
  return `generation${list.length > 1 ? 's' : ''} ${list.join(' and ')}`
}

/** `gateway-1 (401)`, and where there was a control, what became of it. */
function endpoints(results: ProbeSeen[]): string {
  if (results.length === 0) return 'no endpoint'
  return results
    .map(({ endpoint, seen, control }) => {
      const beside = control === null ? '' : `; the value in use: ${control}`
      return `${endpoint} (${seen}${beside})`
    })
    .join(', ')
}

function exceptions(list: string[]): string {
  return list.length > 0 ? `, but not everything was shown: ${list.join(', ').replaceAll('_', ' ')}` : ''
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`
}
