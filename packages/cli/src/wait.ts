import type { JournalEntry } from '@rekey/ledger'
import { type Command, Option } from 'commander'
import type { Started } from './control-answers.ts'
import { ControlError } from './control-error.ts'
import { describe } from './describe.ts'
import { parseDuration } from './duration.ts'
import { EXIT, type ExitCode, worst } from './exit-code.ts'
import { exitCodeOf, type Followed, followRotation } from './follow.ts'
import { plain, type Tone, tint } from './terminal.ts'
import type { Run } from './verb.ts'

export type WaitOptions = { wait?: true; timeout: string; holdGrace: string }

export function waitOptions(command: Command): Command {
  return command
    .option('--wait', 'wait for the end of the rotation, and exit with its outcome')
    .addOption(new Option('--timeout <duration>', 'the longest wait').default('10m'))
    .addOption(new Option('--hold-grace <duration>', 'a hold that lasts so long ends the wait').default('5s'))
}

/** A started rotation that somebody waits for. */
export type Awaited = Started & { credential: string }

type Limits = {
  signal: AbortSignal
  holdGraceMs?: number
  /** Tells the ends only: what the journals hold was done for an earlier order. */
  endsOnly?: boolean
}

/** Follows rotations to their ends, side by side, and tells what happens in each. */
export async function waitFor(run: Run, rotations: Awaited[], limits: Limits): Promise<ExitCode> {
  const codes = await Promise.all(
    rotations.map(async (rotation) => {
      const label = rotations.length > 1 ? `${rotation.credential}: ` : ''
      return followOne(run, rotation, limits, label)
    }),
  )
  return worst(codes)
}

export function holdGraceMs(options: WaitOptions): { holdGraceMs: number } {
  return { holdGraceMs: parseDuration(options.holdGrace) }
}

async function followOne(run: Run, started: Awaited, limits: Limits, label: string): Promise<ExitCode> {
  const follow = async (rotation: string) => {
    let aim = OLD_IS_DEAD
    const onEntry = (entry: JournalEntry) => {
      aim = aimOf(entry) ?? aim
      if (limits.endsOnly) return
      run.print({ type: 'entry', entry }, `${entry.at.slice(11, 19)}  ${label}${plain(describe(entry))}`)
    }
    const followed = await followRotation(run.client, rotation, { ...limits, onEntry })
    const exit = exitCodeOf(followed)
    run.print(
      { type: 'end', rotation, ...followed, exit },
      `${label}${sentence(run, rotation, followed, aim)}`,
    )
    return { followed, exit }
  }
  if (started.how !== 'queued') return (await follow(started.rotation)).exit
  if (await isToCome(run, started.rotation)) {
    run.print(
      { type: 'end', rotation: started.rotation, end: 'held', exit: EXIT.held },
      `${label}${started.rotation} follows when ${started.credential} is released: rekey recover --status`,
    )
    return EXIT.held
  }
  run.print(
    { type: 'queued', behind: started.rotation },
    `${label}${started.rotation} is under way; the rotation asked for follows it`,
  )
  const first = await follow(started.rotation)
  if (first.followed.end === 'held' || first.followed.end === 'timeout') return first.exit
  // It was opened in the transaction that closed the one before it.
  const { openedAt } = await run.client.rotation(started.rotation)
  const later = await run.client.rotations({ credential: started.credential })
  const next = later
    .filter((r) => r.openedAt > openedAt)
    .sort((a, b) => (a.openedAt < b.openedAt ? -1 : 1))[0]
  if (next) return (await follow(next.id)).exit
  run.print(
    { type: 'end', end: 'no-rotation', exit: EXIT.noRotation },
    `${label}no rotation of ${started.credential} followed ${started.rotation}`,
  )
  return EXIT.noRotation
}

/** Kept while its credential is held, after the ledger was restored. */
async function isToCome({ client }: Run, rotation: string): Promise<boolean> {
  try {
    await client.rotation(rotation)
    return false
  } catch (error) {
    if (error instanceof ControlError && error.code === 'not_found') return true
    throw error
  }
}

const OLD_IS_DEAD = 'the old value is proved dead'

/** What its closing means, where an entry says something of it. Only what was in use before can be proved dead. */
function aimOf({ type, data }: JournalEntry): string | undefined {
  if (type !== 'RotationOpened' && type !== 'SuccessorPlanned') return undefined
  if (data.goal === 'retire') return `generation ${data.base} is proved dead, and none follows`
  return data.base === null ? `generation ${data.generation} is current in every store` : OLD_IS_DEAD
}

function sentence({ terminal }: Run, rotation: string, { end, detail }: Followed, aim: string): string {
  const [tone, text]: [Tone, string] = {
    closed: ['good', `${rotation} closed: ${aim}`] as [Tone, string],
    'rolled-back': ['attention', `${rotation} was rolled back`] as [Tone, string],
    cancelled: ['attention', `${rotation} was cancelled`] as [Tone, string],
    held: ['attention', `${rotation} is held; resume it or roll it back once you looked`] as [Tone, string],
    timeout: ['attention', `the wait for ${rotation} timed out; it goes on`] as [Tone, string],
  }[end]
  return `${tint(terminal, tone, text)}${detail === '' ? '' : ` (${plain(detail)})`}`
}
