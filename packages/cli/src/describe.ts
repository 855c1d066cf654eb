import type { ProbeSeen, RotationEvent } from '@rekey/core'
import type { JournalEntry } from '@rekey/ledger'
import { holdWords } from './hold.ts'

/** A journal entry in plain words. A phase that begins is named first. */
export function describe(entry: JournalEntry): string {
  const event = { type: entry.type, ...entry.data } as RotationEvent
  switch (event.type) {
    case 'RotationOpened':
      return opened(event)
    case 'CauseJoined':
      return `one more cause joins this rotation (${because(event.cause)})`
    case 'FollowUpNoted': {
      const what = event.goal === 'retire' ? 'the offboarding' : 'one more cause'
      return `${what} waits for the rotation after this one (${because(event.cause)})`
    }
    case 'ModeRaised':
      return `${event.mode} from here on: ${event.because}`
    case 'GenerationsCompromised':
      return `${generations(event.generations)} leaked, says ${event.actor}: ${event.reason}`
    case 'SuccessorPlanned':
      return `Planned: ${successor(event)}`
    case 'Settled':
      return `the time in which causes gather is over; generation ${event.generation} comes next`
    case 'StagingStarted': {
      const nodes = event.waves.flat().length
      const told =
        nodes === 0 ? 'no node yet' : `${count(nodes, 'node')} in ${count(event.waves.length, 'wave')}`
      return `Staging: making generation ${event.generation}; ${told}`
    }
    case 'ValueStaged':
      return `store ${event.store} holds generation ${event.generation} as pending`
    case 'InstallAsked':
      return `the authority is asked to accept generation ${event.generation}`
    case 'ValueInstalled':
      return `the authority accepts generation ${event.generation}`
    case 'RollingStarted':
      return `Rolling: nodes learn generation ${event.generation}`
    case 'WaveStarted':
      return waveStarted(event)
    case 'WaveProved':
      return waveProved(event)
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
    case 'SuccessorAbandoned': {
      const what = event.superseded
        ? `generation ${event.generation} leaked and is given up; another one follows`
        : `generation ${event.generation} is given up by ${event.actor}: ${event.reason}`
      return `RollingBack: ${what}${reinstated(event.reinstate)}`
    }
    case 'RetirementOpened':
      return retirementOpened(event)
    case 'OffboardingCancelled': {
      const { generation, actor, reason, reinstate } = event
      return `the offboarding is called off by ${actor}: ${reason}; generation ${generation} stays${reinstated(reinstate)}`
    }
    case 'StoreRestored':
      return `store ${event.store} shows the old value again`
    case 'DrainingStarted':
      return `Draining: waiting until nobody uses generation ${event.generation}`
    case 'Reinstated':
      return `generation ${event.generation}, which was suspended, is accepted again`
    case 'RevocationAnnounced': {
      const isCut = event.evidence.some((line) => line.endsWith(': cut'))
      const why = isCut ? 'is cut off, whoever still uses it' : 'is unused'
      return `generation ${event.generation} ${why}; the audit topic is told that it will be revoked`
    }
    case 'AuditAcknowledged':
      return `the audit topic has the intent to revoke generation ${event.generation}`
    case 'SuspensionStarted':
      return `Suspended: the authority is asked to refuse generation ${event.generation}, which can be undone`
    case 'Suspended':
      return `the authority refuses generation ${event.generation}; if somebody misses it, there is a way back`
    case 'RevocationStarted':
      return revocationStarted(event)
    case 'StoreWithdrawn':
      return event.storeVersion === null
        ? `store ${event.store} showed generation ${event.generation} to nobody any more`
        : `store ${event.store} shows readers nothing in place of generation ${event.generation}`
    case 'Revoked':
      return `the authority has ended generation ${event.generation}${event.round > 0 ? ' once more' : ''}`
    case 'RevocationRepeated':
      return `generation ${event.generation} is still accepted: the authority is asked to end it once more`
    case 'ProvingStarted':
      return `Proving: is generation ${event.generation} dead?`
    case 'ProbeAsked':
      return `probe: round ${event.round + 1}, is generation ${event.generation} refused?`
    case 'RefusalProbed':
      return event.conclusive
        ? `probe: generation ${event.generation} is refused at ${endpoints(event.results)}`
        : `probe: not yet shown that generation ${event.generation} is refused: ${endpoints(event.results)}`
    case 'StoreDestroyed':
      return `store ${event.store} destroyed generation ${event.generation}`
    case 'GenerationDead':
      return `generation ${event.generation} is dead${exceptions(event.exceptions)}`
    case 'HoldPlaced':
      return `HELD: ${holdWords(event.hold)}`
    case 'HoldLifted':
      return `no longer held: ${event.because}`
    case 'RotationClosed':
      return `${OUTCOMES[event.outcome]}${exceptions(event.exceptions)}`
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
  back: 'is back on the old value, proved',
}

const OUTCOMES = { closed: 'Closed', 'rolled-back': 'RolledBack', cancelled: 'Cancelled' }

type Of<T extends RotationEvent['type']> = Extract<RotationEvent, { type: T }>

function opened(event: Of<'RotationOpened'>): string {
  const { credential, mode, generation, base, cause } = event
  // Journals of 0.1 have neither a goal nor what leaked.
  const compromised = event.compromised ?? []
  const leaked = compromised.length > 0 ? `; ${mode}: ${generations(compromised)} leaked` : ''
  const what =
    generation === null
      ? `generation ${base} of ${credential} shall end, and none follows`
      : `Planned: ${successor({ generation, base })} of ${credential}`
  const urgent = leaked === '' && mode !== 'rotate' ? `; ${mode}` : leaked
  return `${what}${urgent} (${because(cause)})`
}

function successor({ generation, base }: { generation: number; base: number | null }): string {
  return base === null
    ? `generation ${generation} will be the first value`
    : `generation ${generation} will replace generation ${base}`
}

function waveProved(event: Of<'WaveProved'>): string {
  const { wave, purpose, nodes, excused } = event
  // Journals of 0.1 name no lost nodes.
  const lost = event.lost ?? []
  // Before the first node is enrolled, a wave is empty and proves nothing.
  if (nodes.length === 0 && excused.length === 0 && lost.length === 0) return `wave ${wave + 1}: ${NOBODY}`
  const without = [
    excused.length > 0 ? `; excused: ${names(excused)}` : '',
    lost.length > 0 ? `; lost, and not waited for: ${names(lost)}` : '',
  ].join('')
  return `wave ${wave + 1} ${PROVED[purpose]} by ${names(nodes)}${without}`
}

function retirementOpened({ generation, because, restore }: Of<'RetirementOpened'>): string {
  if (because === 'already-dead')
    return `generation ${generation} was dead already; it is left to show that it is refused`
  const back = restore.length > 0 ? `; stores to put back: ${restore.join(', ')}` : ''
  return `generation ${generation} must end, because it was ${because}${back}`
}

function revocationStarted(event: Of<'RevocationStarted'>): string {
  const { generation, mode } = event
  // Journals of 0.1 say no more than the generation: it was a routine, and nodes were all there was.
  const who = (event.revokes ?? 0) > 0 ? 'the authority ends' : 'nodes stop accepting'
  const shown = event.withdraw ?? []
  const withdrawn = shown.length > 0 ? `; no longer shown by ${shown.join(', ')}` : ''
  const waived = mode === 'contain' ? '; contain: neither proofs nor a drain are waited for' : ''
  return `Revoking: ${who} generation ${generation}; there is no way back from here${withdrawn}${waived}`
}

function reinstated(generation: number | null): string {
  return typeof generation === 'number' ? `; generation ${generation} is suspended, and reinstated first` : ''
}

function waveStarted(event: Of<'WaveStarted'>): string {
  if (event.nodes.length === 0) return `wave ${event.wave + 1}: ${NOBODY}`
  const wave = `wave ${event.wave + 1}/${event.waves.length}: ${names(event.nodes)}`
  switch (event.purpose) {
    case 'widen':
      return `${wave} shall hold ${generations(event.accept)}`
    case 'confirm':
      return `${wave} shall prove again to hold ${generations(event.accept)}`
    case 'narrow':
      return `${wave} shall refuse ${generations(event.refuse)}`
    case 'back':
      return `${wave} shall go back to ${generations(event.accept)}`
    default:
      return event.purpose satisfies never
  }
}

function because({
  kind,
  actor,
  rule,
  reason,
  ticket,
}: {
  kind: string
  actor: string
  rule?: string
  reason: string
  ticket?: string
}) {
  if (kind === 'order')
    return `ordered by ${actor}: ${reason}${ticket === undefined ? '' : `, ticket ${ticket}`}`
  if (kind === 'leak') return `leak reported by ${actor}: ${reason}`
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
