import type { ProbeSeen, RotationEvent } from '@rekey/core'
import type { Deed, EntityDeed, FindingDeed } from './deed.ts'

/**
 * What each event of a rotation means to a SIEM. The life of a generation has words of its own (Create, Activate, Enable,
 * Disable, Delete); a step on the way between them is an Update of the credential. A new type fails to compile here.
 */
export function rotationDeed(event: RotationEvent, rotation: string): Deed | undefined {
  switch (event.type) {
    case 'RotationOpened':
      return update(`rotation opened (${event.cause.kind}): ${event.cause.reason}`, event)
    case 'CauseJoined':
      return update(`a further cause joined: ${event.cause.reason}`)
    case 'FollowUpNoted':
      return update(`a rotation will follow: ${event.cause.reason}`)
    case 'StagingStarted':
      return update('staging started', event)
    case 'ValueStaged':
      return { ...update(`value staged in ${event.store} as ${event.keyId}`, event), activity: 'Create' }
    case 'RollingStarted':
      return update('nodes started to learn the new generation', event)
    case 'WaveStarted':
      return update(`wave ${event.wave + 1} to ${event.purpose}: ${count(event.nodes, 'node')} told`)
    case 'WaveProved': {
      const excused = event.excused.length > 0 ? `, ${event.excused.length} excused` : ''
      return {
        ...update(
          `wave ${event.wave + 1} to ${event.purpose}: ${count(event.nodes, 'node')} proved${excused}`,
        ),
        severity: event.excused.length > 0 ? 'Low' : 'Informational',
      }
    }
    case 'NodeNacked':
      return {
        ...update(`node ${event.node} cannot take its desired state: ${event.reason}`, event),
        failed: true,
        severity: 'Low',
      }
    case 'PromotionAsked':
      return update(`promotion asked of ${event.store}`, event)
    case 'StorePromoted':
      return { ...update(`${event.store} shows it as current`, event), activity: 'Activate' }
    case 'ConfirmingStarted':
      return update('nodes started to prove again', event)
    case 'BaselineProbed':
      return probed('the replaced generation, before its end', event)
    case 'SuccessorLive':
      return { ...update('proved by every node: live', event), activity: 'Enable' }
    case 'SuccessorAbandoned':
      return {
        ...update(`abandoned by ${event.actor}: ${event.reason}`, event),
        activity: 'Deactivate',
        failed: true,
        severity: 'Medium',
      }
    case 'RetirementOpened':
      return {
        ...update(`retirement opened, because it was ${event.because}${excepted(event.exceptions)}`, event),
        severity: severityOf(event.exceptions),
      }
    case 'StoreRestored':
      return update(`${event.store} put back`, event)
    case 'DrainingStarted':
      return update('draining: waiting until nobody uses it', event)
    case 'RevocationAnnounced':
      return update(`revocation announced: ${event.evidence.join('; ')}`, event)
    case 'AuditAcknowledged':
      return update('the audit topic has the announced revocation', event)
    case 'RevocationStarted':
      return { ...update('revocation started: nodes stop accepting it', event), activity: 'Disable' }
    case 'ProvingStarted':
      return update('proving that it is refused', event)
    case 'RefusalProbed':
      return probed('the revoked generation', event)
    case 'StoreDestroyed':
      return update(`value destroyed in ${event.store}`, event)
    case 'GenerationDead':
      return {
        ...update(`refused everywhere and destroyed${excepted(event.exceptions)}`, event),
        activity: 'Delete',
        severity: severityOf(event.exceptions),
      }
    case 'HoldPlaced':
      return {
        ...hold(rotation, event.hold),
        activity: 'Create',
        message: `held, ${event.hold.reason}: ${event.hold.detail}`,
        // A revoked key that still works is worse than one that is late to go.
        severity: event.hold.reason === 'not_refused' ? 'High' : 'Medium',
      }
    case 'HoldLifted':
      return {
        ...hold(rotation, event),
        activity: 'Close',
        message: `hold lifted: ${event.because}`,
        severity: 'Informational',
      }
    case 'RotationClosed':
      return {
        ...update(`rotation ended: ${event.outcome}${excepted(event.exceptions)}`),
        failed: event.outcome !== 'closed',
        severity: severityOf(event.exceptions),
      }
    default:
      event satisfies never
      return undefined
  }
}

function update(message: string, event?: { generation: number | null }): EntityDeed {
  return { class: 'entity', activity: 'Update', message, generation: event?.generation ?? null }
}

function probed(
  what: string,
  event: { generation: number; results: ProbeSeen[]; conclusive: boolean },
): EntityDeed {
  const refused = event.results.filter((r) => r.verdict === 'refused').length
  const accepted = event.results.filter((r) => r.verdict === 'accepted').length
  const unknown = event.results.length - refused - accepted
  const seen = `${accepted} accepted, ${refused} refused, ${unknown} unknown`
  return {
    class: 'entity',
    activity: 'Read',
    generation: event.generation,
    message: `probed ${what}: ${seen}${event.conclusive ? '' : '; not conclusive'}`,
    failed: !event.conclusive,
  }
}

/** One finding for each reason and thing that a rotation waits for: its lifting closes it, and it may open again. */
function hold(
  rotation: string,
  { reason, about }: { reason: string; about: string },
): Omit<FindingDeed, 'activity' | 'message' | 'severity'> {
  return {
    class: 'compliance',
    uid: `hold/${rotation}/${reason}/${about}`,
    title: `Rotation ${rotation} is held`,
    control: 'Every rotation ends, or a human is told why it waits',
  }
}

const count = (list: unknown[], noun: string) => `${list.length} ${noun}${list.length === 1 ? '' : 's'}`
const excepted = (exceptions: string[]) => (exceptions.length > 0 ? `, except: ${exceptions.join('; ')}` : '')
const severityOf = (exceptions: string[]) => (exceptions.length > 0 ? 'Medium' : 'Informational')
