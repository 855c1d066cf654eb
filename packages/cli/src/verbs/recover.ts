import type { RecoveredCredential, RecoveryView, Released } from '@rekey/ledger'
import { type Command, Option } from 'commander'
import { Complaint } from '../complaint.ts'
import { ControlError } from '../control-error.ts'
import { EXIT, type ExitCode } from '../exit-code.ts'
import { parseGeneration } from '../generation.ts'
import { table } from '../table.ts'
import type { AddVerb, Run } from '../verb.ts'

type Options = {
  reason?: string
  status?: true
  release?: string
  releaseAll?: true
  generation?: number
  ended?: true
}

export function addRecover(verb: AddVerb, program: Command): void {
  verb<Options>(program, {
    usage: 'recover',
    summary:
      'After an older backup of the ledger was restored: end its open rotations, go past every counter that may exist outside, and hold every credential until you have looked and released it. docs/runbooks/ledger-restored.md says how.',
    example: 'rekey recover --reason "disk lost, restored the backup of 02:00"',
    exits: [EXIT.closed, EXIT.held, EXIT.failed],
    options: (command) =>
      command
        .option('--reason <text>', 'start: why, for the record')
        .option('--status', 'show what was found of each credential')
        .option('--release <credential>', 'take over what was found of one credential')
        .option('--release-all', 'the same for all whose stores show one value')
        .addOption(
          new Option(
            '--generation <n>',
            'with --release: what is current, where the stores differ',
          ).argParser(parseGeneration),
        )
        .option('--ended', 'with --release: it was offboarded after the backup'),
    async run(run, _args, options) {
      check(options)
      if (options.reason !== undefined) return show(run, await run.client.recover(options.reason))
      if (options.release !== undefined) return releaseOne(run, options.release, options)
      if (options.releaseAll) return releaseAll(run)
      return show(run, await run.client.recovery())
    },
  })
}

function check({ reason, status, release, releaseAll, generation, ended }: Options): void {
  const asked = [reason, status, release, releaseAll].filter((option) => option !== undefined)
  const remedy = 'Give one of --reason, --status, --release and --release-all.'
  if (asked.length !== 1) throw new Complaint('bad_usage', 'say what to do', remedy)
  if (reason !== undefined && reason.trim() === '') throw new Complaint('bad_usage', 'give a reason', remedy)
  if (release === undefined && (generation !== undefined || ended))
    throw new Complaint(
      'bad_usage',
      '--generation and --ended are about one credential',
      'Give them with --release.',
    )
}

function show({ print }: Run, recovery: RecoveryView): ExitCode {
  const rows = recovery.credentials.map((c) => [
    c.credential,
    c.ledger,
    c.stores.map((s) => `${s.store}=${s.current ?? 'nothing'}`).join(' ') || null,
    othersOf(c),
    c.verdict ?? (c.error ? `not looked at: ${c.error}` : 'not looked at so far'),
    stateOf(c),
  ])
  const head = `recovery ${recovery.id} by ${recovery.askedBy}: ${recovery.reason}`
  const chain =
    recovery.auditHead === null
      ? 'the auditor has not read the audit topic so far'
      : `audit records go on after ${recovery.auditHead}`
  const columns = ['CREDENTIAL', 'LEDGER', 'STORES', 'ALSO HELD', 'VERDICT', 'STATE']
  print(recovery, [head, chain, '', table(columns, rows)].join('\n'))
  return recovery.held > 0 ? EXIT.held : EXIT.closed
}

/** Generations beside those that every store shows. */
function othersOf({ stores, generations }: RecoveredCredential): string | null {
  const others = generations.filter((g) => stores.some((s) => s.current !== g.generation))
  return others.map((g) => `${g.generation} (${g.tried})`).join(', ') || null
}

function stateOf(c: RecoveredCredential): string {
  const more = [
    c.closed === null ? [] : `${c.closed} ended`,
    c.waiting > 0 ? `${c.waiting} causes wait` : [],
    c.rotation === null ? [] : `goes on as ${c.rotation}`,
  ].flat()
  const state = c.releasedBy === null ? 'held' : `released by ${c.releasedBy}`
  return [state, ...more].join('; ')
}

async function releaseOne(
  { client, print }: Run,
  credential: string,
  { generation, ended }: Options,
): Promise<ExitCode> {
  const released = await client.release(credential, {
    ...(generation !== undefined && { generation }),
    ...(ended && { ended }),
  })
  const { held } = await client.recovery()
  print({ released: [released], refused: [], held }, [sentence(released), left(held)].join('\n'))
  return held > 0 ? EXIT.held : EXIT.closed
}

async function releaseAll({ client, print }: Run): Promise<ExitCode> {
  const { credentials } = await client.recovery()
  const released: Released[] = []
  const refused: { credential: string; why: string }[] = []
  for (const { credential } of credentials.filter((c) => c.releasedBy === null)) {
    try {
      released.push(await client.release(credential, {}))
    } catch (error) {
      if (!(error instanceof ControlError) || error.code !== 'not_allowed_now') throw error
      refused.push({ credential, why: error.message })
    }
  }
  const { held } = await client.recovery()
  const lines = [...released.map(sentence), ...refused.map((r) => r.why), left(held)]
  print({ released, refused, held }, lines.join('\n'))
  return held > 0 ? EXIT.held : EXIT.closed
}

function sentence({ credential, generation, rotation }: Released): string {
  const what = generation === null ? 'without a value' : `with generation ${generation}`
  return `${credential} is released ${what}${rotation === null ? '' : `; ${rotation} goes on`}`
}

function left(held: number): string {
  return held === 0 ? 'nothing is held any more' : `${held} still held: rekey recover --status`
}
