import { setTimeout as delay } from 'node:timers/promises'
import type { DriftLookView } from '@rekey/ledger'
import type { Command } from 'commander'
import { Complaint } from '../complaint.ts'
import { driftedWords } from '../drift.ts'
import { parseDuration } from '../duration.ts'
import { EXIT } from '../exit-code.ts'
import { plain } from '../terminal.ts'
import type { AddVerb, Run } from '../verb.ts'

const ASK_EVERY_MS = 300

export function addDriftLook(verb: AddVerb, drift: Command): void {
  verb<{ timeout: string }>(drift, {
    usage: 'look <credential>',
    summary:
      "Have a rotator look now whether a credential's stores show what Rekey wrote. What cannot be read is unknown, and no drift.",
    example: 'rekey drift look chat-gateway-key',
    exits: [EXIT.closed, EXIT.differences, EXIT.failed],
    options: (command) => command.option('--timeout <duration>', 'the longest wait', '1m'),
    async run(run, [credential = ''], { timeout }) {
      const look = await finished(run, credential, parseDuration(timeout))
      run.print(look, textOf(look))
      if (look.drift) return EXIT.differences
      return look.stores.some(({ state }) => state === 'unknown') ? EXIT.failed : EXIT.closed
    },
  })
}

async function finished({ client }: Run, credential: string, timeoutMs: number): Promise<DriftLookView> {
  const until = performance.now() + timeoutMs
  const { asked } = await client.lookForDrift(credential)
  for (;;) {
    const look = await client.driftOf(credential)
    if (look.answered >= asked) return look
    if (look.openRotation !== null)
      throw new Complaint(
        'not_allowed_now',
        `${look.openRotation} was opened meanwhile, and moves the stores itself`,
        'Look again when it has ended.',
      )
    if (performance.now() >= until)
      throw new Complaint(
        'backend_unavailable',
        `no rotator has looked at ${credential} so far`,
        'Is one running? Asked again, the same look goes on.',
      )
    await delay(ASK_EVERY_MS)
  }
}

function textOf({ credential, stores, drift }: DriftLookView): string {
  const lines = stores.map((one) => {
    switch (one.state) {
      case 'governed':
        return `${one.store} shows what Rekey wrote`
      case 'drifted':
        return driftedWords(one)
      case 'unknown':
        return `${one.store} is not known: ${one.error}`
      default:
        return one satisfies never
    }
  })
  return [
    ...lines.map(plain),
    ...(drift ? [`settle it: rekey drift settle ${credential} ${seenOf(drift)} --reason …`] : []),
  ].join('\n')
}

const seenOf = ({ stores }: { stores: { store: string; seen: string | null }[] }) =>
  stores.map(({ store, seen }) => `--seen ${store}=${seen ?? 'none'}`).join(' ')
