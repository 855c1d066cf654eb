import type { FindingDeed } from './deed.ts'
import type { LedgerEvent } from './entry.ts'

type RecoveryEvent = Extract<
  LedgerEvent,
  { type: 'RecoveryStarted' | 'CredentialInspected' | 'CredentialReleased' }
>

/** One finding for each recovery: opened with it, and closed with the release of the last credential. */
export function recoveryDeed(event: RecoveryEvent): FindingDeed {
  const finding = {
    class: 'compliance',
    uid: `recovery/${event.recovery}`,
    title: 'The ledger was restored from an older backup',
    control: 'The ledger does not go back in time',
  } as const
  switch (event.type) {
    case 'RecoveryStarted': {
      const { credentials, rotations, reason } = event
      const message = `${credentials.length} credentials are held and ${rotations.length} open rotations ended: ${reason}`
      const isOver = credentials.length === 0
      return { ...finding, activity: isOver ? 'Close' : 'Create', severity: 'High', message }
    }
    case 'CredentialInspected': {
      const { credential, verdict, stores } = event
      const shown = stores.map((s) => `${s.store} shows ${s.current ?? 'nothing'}`).join(', ')
      const resource = credentialOf(credential)
      return {
        ...finding,
        activity: 'Update',
        severity: 'Medium',
        message: `${credential} ${verdict}: ${shown}`,
        resource,
      }
    }
    case 'CredentialReleased': {
      const { credential, generation, rotation, chosen, left } = event
      const what = generation === null ? 'without a value' : `with generation ${generation}`
      const by = chosen ? ', as a human chose' : ''
      const next = rotation === null ? '' : `; ${rotation} goes on with it`
      return {
        ...finding,
        activity: left === 0 ? 'Close' : 'Update',
        severity: 'Medium',
        message: `${credential} is released ${what}${by}${next}; ${left} are still held`,
        resource: credentialOf(credential),
      }
    }
    default:
      return event satisfies never
  }
}

function credentialOf(name: string) {
  return { type: 'Credential', uid: `credential/${name}`, name }
}
