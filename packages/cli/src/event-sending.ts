import { setTimeout as delay } from 'node:timers/promises'
import { type CloudEvent, digest, isLeak } from '@rekey/events'
import { Complaint } from './complaint.ts'
import type { JudgedVerdict } from './control-answers.ts'
import { deadline } from './deadline.ts'
import { readEvent } from './event-file.ts'
import { publish } from './event-publisher.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { plain } from './terminal.ts'
import type { Run } from './verb.ts'
import { waitFor } from './wait.ts'

const LOOK_AGAIN_MS = 250

/** Sends the event in a file; with `wait` to the end of what comes of it. */
export async function sendEvent(
  run: Run,
  file: string,
  emitter: string,
  wait: { timeoutMs: number; holdGraceMs: number } | undefined,
): Promise<ExitCode> {
  const { event, change } = await readEvent(file, run.terminal)
  const before = wait ? await judgedBefore(run, event) : false
  const sent = await publish(event, {
    brokers: run.terminal.env.KAFKA_BROKERS,
    emitter,
    about: isLeak(change) ? change.credential : change.workload,
  })
  const { id, source } = event
  run.print({ type: 'sent', id, source, ...sent }, `sent ${id} to ${sent.topic}`)
  if (!wait) return EXIT.closed
  const { timeoutMs, ...limits } = wait
  const end = deadline(timeoutMs)
  try {
    return await outcome(run, event, before, { signal: end.signal, ...limits })
  } finally {
    end.clear()
  }
}

/** The first verdict of an id stands: it must not be taken for an answer to other content. */
async function judgedBefore({ client }: Run, event: CloudEvent): Promise<boolean> {
  const earlier = await client.verdict(event.id, event.source)
  if (!earlier) return false
  if (earlier.digest !== digest(event))
    throw new Complaint(
      'conflict',
      `${event.id} was used before with other content, and would be refused; it was not sent`,
      'Use a new id.',
    )
  return true
}

async function outcome(
  run: Run,
  event: CloudEvent,
  before: boolean,
  limits: { signal: AbortSignal; holdGraceMs: number },
): Promise<ExitCode> {
  const verdict = await verdictOf(run, event, limits.signal)
  if (!verdict) {
    run.print(
      { type: 'end', end: 'timeout' },
      'no verdict came in time; see whether intake runs and reads that topic',
    )
    return EXIT.timeout
  }
  run.print(
    { type: 'verdict', before, verdict },
    `${before ? 'this event was judged before: ' : ''}${verdict.verdict}: ${plain(verdict.reason)}`,
  )
  if (verdict.verdict === 'conflict' || verdict.verdict === 'rejected') return EXIT.failed
  if (verdict.rotations.length === 0) return EXIT.noRotation
  return waitFor(run, verdict.rotations, { ...limits, endsOnly: before })
}

async function verdictOf(
  { client }: Run,
  event: CloudEvent,
  signal: AbortSignal,
): Promise<JudgedVerdict | undefined> {
  while (!signal.aborted) {
    const verdict = await client.verdict(event.id, event.source)
    if (verdict) return verdict
    await delay(LOOK_AGAIN_MS, undefined, { signal }).catch(() => undefined)
  }
  return undefined
}
