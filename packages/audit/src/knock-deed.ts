import type { FindingDeed } from './deed.ts'
import type { LedgerEvent } from './entry.ts'

/**
 * A dead key was presented. It was refused, so nothing is broken; but somebody has it. A declared client has forgotten to
 * change, anybody else may have found it.
 */
export function knockDeed(event: Extract<LedgerEvent, { type: 'DeadKeyUsed' }>): FindingDeed {
  const { credential, generation, address, client, declared, requests, total, nodes, firstAt, lastAt } = event
  const from = address === null ? fromMany(event) : `from ${address}${whose(client, declared)}`
  const times = requests === 0 ? '' : `${requests} request${requests === 1 ? '' : 's'} `
  const sum = total > requests ? `, ${total} in all` : ''
  const at = nodes.length > 0 ? ` at ${nodes.join(', ')}` : ''
  return {
    class: 'detection',
    // What was seen before from there belongs to the same finding.
    activity: total > requests ? 'Update' : 'Create',
    uid: `knock/${credential}/${generation}/${address ?? 'others'}`,
    title: 'A dead key was used',
    control: 'Nobody has a dead key',
    message: `${times}with generation ${generation} of ${credential}, which is dead, ${from}${at}${sum}; refused`,
    severity: client === null ? 'High' : 'Medium',
    resource: { type: 'Credential', uid: `credential/${credential}`, name: credential, generation },
    seen: { address, nodes, count: requests, firstAt, lastAt },
  }
}

function whose(client: string | null, declared: boolean): string {
  if (client !== null) return ` (${client})`
  return declared ? ' (no declared client)' : ' (no clients are declared)'
}

function fromMany({ addresses, unlisted }: { addresses: number; unlisted: boolean }): string {
  const counted = addresses > 0 ? [`from ${addresses} further addresses`] : []
  return [...counted, ...(unlisted ? ['from more addresses than are listed'] : [])].join(' and ')
}
