import { setTimeout as delay } from 'node:timers/promises'
import type { InventoryScanView } from '@rekey/ledger'
import type { Command } from 'commander'
import { Complaint } from '../complaint.ts'
import { parseDuration } from '../duration.ts'
import { EXIT } from '../exit-code.ts'
import { table } from '../table.ts'
import { plain } from '../terminal.ts'
import type { AddVerb, Run } from '../verb.ts'

const ASK_EVERY_MS = 500

export function addInventoryScan(verb: AddVerb, inventory: Command): void {
  verb<{ timeout: string }>(inventory, {
    usage: 'scan',
    summary:
      'List what the backends hold and no credential names, and what a credential names and its backend has not. A rotator looks, at names and dates alone.',
    example: 'rekey inventory scan --json',
    exits: [EXIT.closed, EXIT.differences, EXIT.failed],
    options: (command) => command.option('--timeout <duration>', 'the longest wait', '2m'),
    async run(run, _args, { timeout }) {
      const scan = await finished(run, parseDuration(timeout))
      const { found } = scan
      if (!found) return EXIT.failed
      run.print(scan, textOf(found))
      if (found.places.some(({ error }) => error !== null)) return EXIT.failed
      return found.ungoverned.length + found.missing.length > 0 ? EXIT.differences : EXIT.closed
    },
  })
}

async function finished({ client }: Run, timeoutMs: number): Promise<InventoryScanView> {
  const until = performance.now() + timeoutMs
  let scan = await client.scanInventory()
  while (scan.finishedAt === null) {
    if (performance.now() >= until)
      throw new Complaint(
        'backend_unavailable',
        `no rotator has answered scan ${scan.id} so far`,
        'Is one running? Asked again, the same scan goes on.',
      )
    await delay(ASK_EVERY_MS)
    scan = await client.inventoryScan(scan.id)
  }
  return scan
}

function textOf({ places, governed, ungoverned, missing }: NonNullable<InventoryScanView['found']>): string {
  const faults = places.flatMap(({ place, error }) =>
    error === null ? [] : [`${plain(place)}: ${plain(error)}`],
  )
  const looked = places.map(({ place, listed }) => `${place} (${listed})`).join(', ') || 'nothing'
  return [
    `looked at ${plain(looked)}; governed ${governed}, not governed ${ungoverned.length}, missing ${missing.length}`,
    ...faults,
    ...(ungoverned.length > 0
      ? [
          '',
          table(
            ['NOT GOVERNED', 'PLACE', 'CHANGED', 'OWNER'],
            ungoverned.map((one) => [one.name, one.place, one.changedAt, one.owner]),
          ),
        ]
      : []),
    ...(missing.length > 0
      ? [
          '',
          table(
            ['MISSING', 'PLACE', 'CREDENTIAL', 'OWNER'],
            missing.map((one) => [one.name, one.place, one.credential, one.owner]),
          ),
        ]
      : []),
  ].join('\n')
}
