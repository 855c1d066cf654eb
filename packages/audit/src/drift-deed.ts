import type { EntityDeed, FindingDeed } from './deed.ts'
import type { LedgerEvent } from './entry.ts'

type DriftEvent = Extract<LedgerEvent, { type: 'DriftFound' | 'DriftSettlementOrdered' | 'DriftSettled' }>
type Store = Extract<DriftEvent, { type: 'DriftFound' }>['stores'][number]

/** One finding for each drift, from when it is found until the stores show what Rekey wrote. */
export function driftDeed(event: DriftEvent): FindingDeed | EntityDeed {
  const { credential, drift } = event
  const resource = { type: 'Credential', uid: `credential/${credential}`, name: credential }
  const finding = {
    class: 'compliance',
    uid: `drift/${credential}/${drift}`,
    title: 'A store shows what Rekey did not write',
    control: 'Stores show what Rekey wrote',
  } as const
  switch (event.type) {
    case 'DriftFound': {
      const { stores, generation, again } = event
      const isHarmless = stores.every(({ kind }) => kind === 'rewritten')
      return {
        ...finding,
        activity: again ? 'Update' : 'Create',
        severity: isHarmless ? 'Low' : 'High',
        message: `${stores.map(shown).join('; ')}; generation ${generation} is in use`,
        resource: { ...resource, generation },
      }
    }
    case 'DriftSettlementOrdered': {
      const { generation, rotation, reason, ticket } = event
      const about = ticket === null ? reason : `${reason} (ticket ${ticket})`
      return {
        class: 'entity',
        activity: { other: 'Settle' },
        entity: { ...resource, generation },
        message: `${rotation} shall replace what was changed by hand: ${about}`,
      }
    }
    case 'DriftSettled': {
      const { how, rotation } = event
      const by = rotation === null ? '' : ` (${rotation})`
      return {
        ...finding,
        activity: 'Close',
        severity: 'Informational',
        message: `${HOW[how]}${by}`,
        resource,
      }
    }
    default:
      return event satisfies never
  }
}

function shown({ store, kind, governed, seen, shows }: Store): string {
  const versions = `version ${seen ?? 'none'} in place of ${governed}`
  switch (kind) {
    case 'missing':
      return `${store} shows readers nothing (${versions})`
    case 'rewritten':
      return `${store} shows the right value by another hand (${versions})`
    case 'foreign':
      return `${store} shows an unknown value (${versions})`
    case 'other-generation':
      return `${store} shows generation ${shows} (${versions})`
    default:
      return kind satisfies never
  }
}

const HOW = {
  rotated: 'a rotation has replaced what was there',
  offboarded: 'the credential was offboarded',
  restored: 'the stores show the value again, by hand or by a rollback',
}
