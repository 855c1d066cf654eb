import type { Cause, Hold, Mode, ProbeSeen, RotationEvent } from '@rekey/core'
import type { Deed, EntityDeed, FindingDeed, Severity } from './deed.ts'
import { emergency, emergencyEnded, generations, revocation } from './emergency-deed.ts'

/** The rotation of an entry, and who made the entry. */
export type About = { id: string; actor: string; mode?: Mode }

/**
 * What each event of a rotation means to a SIEM. The life of a generation has words of its own (Create, Activate, Enable,
 * Suspend, Resume, Disable, Delete); a step on the way between them is an Update of the credential; an emergency is an
 * incident. A new type fails to compile here.
 */
export function rotationDeed(event: RotationEvent, about: About): Deed | undefined {
  switch (event.type) {
    case 'RotationOpened': {
      const { cause, mode, goal, compromised } = event
      const said = `(${cause.kind}): ${reasonOf(cause)}`
      if (mode === 'expedite' || mode === 'contain') {
        const leaked = compromised.length > 0 ? `${generations(compromised)} leaked, ` : ''
        return emergency(about.id, 'Create', mode, `${mode}: ${leaked}says ${cause.actor} ${said}`)
      }
      return update(`${goal === 'retire' ? 'offboarding' : 'rotation'} opened ${said}`, event)
    }
    case 'CauseJoined':
      return update(`a further cause joined: ${reasonOf(event.cause)}`)
    case 'FollowUpNoted':
      return update(
        `${event.goal === 'retire' ? 'an offboarding' : 'a rotation'} will follow: ${reasonOf(event.cause)}`,
      )
    case 'ModeRaised':
      return emergency(about.id, 'Update', event.mode, `${event.mode} from here on: ${event.because}`)
    case 'GenerationsCompromised': {
      const { actor, reason } = event
      const message = `${generations(event.generations)} leaked, says ${actor}: ${reason}`
      return emergency(about.id, 'Create', 'expedite', message)
    }
    case 'SuccessorPlanned':
      return update(`another generation will come, and replace ${event.base ?? 'none'}`, event)
    case 'Settled':
      return update('further causes are not waited for any more', event)
    case 'StagingStarted':
      return update('staging started', event)
    case 'ValueStaged':
      return { ...update(`value staged in ${event.store} as ${event.keyId}`, event), activity: 'Create' }
    case 'InstallAsked':
      return update('the authority is asked to accept it', event)
    case 'ValueInstalled':
      return { ...update('the authority accepts it', event), activity: 'Activate' }
    case 'RollingStarted':
      return update('nodes started to learn the new generation', event)
    case 'WaveStarted':
      return update(`wave ${event.wave + 1} to ${event.purpose}: ${count(event.nodes, 'node')} told`)
    case 'WaveProved': {
      const { wave, purpose, nodes, excused } = event
      // Journals of 0.1 name no lost nodes.
      const lost = event.lost ?? []
      const without = [
        excused.length > 0 ? `, ${excused.length} excused` : '',
        lost.length > 0 ? `, ${lost.length} lost and not waited for` : '',
      ].join('')
      return {
        ...update(`wave ${wave + 1} to ${purpose}: ${count(nodes, 'node')} proved${without}`),
        severity: without === '' ? 'Informational' : 'Low',
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
        ...update(
          `abandoned by ${event.actor}: ${event.reason}${event.superseded ? '; another one follows' : ''}`,
          event,
        ),
        activity: 'Deactivate',
        failed: true,
        severity: 'Medium',
      }
    case 'RetirementOpened':
      return {
        ...update(`retirement opened, because it was ${event.because}${excepted(event.exceptions)}`, event),
        severity: severityOf(event.exceptions),
      }
    case 'OffboardingCancelled':
      return {
        ...update(`offboarding called off by ${event.actor}: ${event.reason}`, event),
        failed: true,
        severity: 'Low',
      }
    case 'StoreRestored':
      return update(`${event.store} put back`, event)
    case 'Reinstated':
      return { ...update('the authority accepts it again', event), activity: 'Resume' }
    case 'DrainingStarted':
      return update('draining: waiting until nobody uses it', event)
    case 'RevocationAnnounced':
      return update(`revocation announced: ${event.evidence.join('; ')}`, event)
    case 'AuditAcknowledged':
      return update('the audit topic has the announced revocation', event)
    case 'SuspensionStarted':
      return update('the authority is asked to refuse it for a while, which can be undone', event)
    case 'Suspended':
      return { ...update('the authority refuses it, which can be undone', event), activity: 'Suspend' }
    case 'RevocationStarted':
      return revocation(event, about.actor)
    case 'StoreWithdrawn': {
      const what = event.storeVersion === null ? 'did not show it' : 'shows readers nothing in its place'
      return { ...update(`${event.store} ${what}`, event), activity: 'Deactivate' }
    }
    case 'Revoked':
      return update(`the authority has ended it (round ${event.round + 1})`, event)
    case 'RevocationRepeated':
      return update(`it is still accepted: the authority is asked again (round ${event.round + 1})`, event)
    case 'ProvingStarted':
      return update('proving that it is refused', event)
    case 'ProbeAsked':
      return update(`a probe is asked whether it is refused (round ${event.round + 1})`, event)
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
        ...hold(about.id, event.hold),
        activity: 'Create',
        message: `held, ${event.hold.reason}: ${event.hold.detail}`,
        severity: HOLD_SEVERITY[event.hold.reason] ?? 'Medium',
      }
    case 'HoldLifted':
      return {
        ...hold(about.id, event),
        activity: 'Close',
        message: `hold lifted: ${event.because}`,
        severity: 'Informational',
      }
    case 'RotationClosed': {
      const message = `rotation ended: ${event.outcome}${excepted(event.exceptions)}`
      if (about.mode === 'expedite' || about.mode === 'contain')
        return emergencyEnded(about.id, event.outcome, message, severityOf(event.exceptions))
      return {
        ...update(message),
        failed: event.outcome !== 'closed',
        severity: severityOf(event.exceptions),
      }
    }
    default:
      event satisfies never
      return undefined
  }
}

function update(message: string, event?: { generation: number | null }): EntityDeed {
  return { class: 'entity', activity: 'Update', message, generation: event?.generation ?? null }
}

/** A revoked key that still works is worse than one that is late to go; a human's own hold is no surprise. */
const HOLD_SEVERITY: Partial<Record<Hold['reason'], Severity>> = { not_refused: 'High', human: 'Low' }

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

function reasonOf({ reason, ticket }: Cause): string {
  return ticket === undefined ? reason : `${reason} (ticket ${ticket})`
}
