import type { Verdict } from '@rekey/contracts'
import { deadLetterRecord, type OutgoingRecord, verdictRecord } from '@rekey/events'
import type { Inbox } from './inbox.ts'
import { type Patience, Unstorable } from './patience.ts'
import { type Located, type Reading, read, type Who } from './reading.ts'
import type { Recent } from './recent.ts'

export type Answer = { verdict: Verdict | undefined; records: (OutgoingRecord & { topic: string })[] }

export type Judge = { inbox: Inbox; patience: Patience; recent: Recent; now: () => Date }

/** As many connections as one partition may keep busy with repeats. */
const REPEATS_AT_ONCE = 8

/**
 * Judges the records of one partition in order and calls `answered` for each, in order too.
 *
 * Order matters between events, since each is compared with what the ones before it left. It does not matter for a
 * repeat of an event that was judged already, because a repeat decides nothing: those run beside the others, so that
 * a storm of duplicates costs little.
 */
export async function judgeSlice(
  records: Located[],
  judge: Judge,
  alive: () => Promise<void>,
  answered: (answer: Answer) => void,
): Promise<void> {
  const answers: Promise<Answer>[] = []
  const repeats = new Set<Promise<Answer>>()
  try {
    for (const record of records) {
      await alive()
      const reading = read(record)
      const answer = answerTo(record, reading, judge, alive)
      // Failures surface below, where all answers are awaited.
      answer.catch(() => undefined)
      answers.push(answer)
      if (reading.who !== undefined && judge.recent.has(reading.who)) {
        repeats.add(answer)
        answer.finally(() => repeats.delete(answer)).catch(() => undefined)
        if (repeats.size >= REPEATS_AT_ONCE) await Promise.race(repeats)
      } else {
        await answer
        if (reading.who !== undefined) judge.recent.add(reading.who)
      }
    }
  } finally {
    for (const result of await Promise.allSettled(answers)) {
      if (result.status === 'fulfilled') answered(result.value)
    }
  }
  await Promise.all(answers)
}

async function answerTo(
  record: Located,
  reading: Reading,
  judge: Judge,
  alive: () => Promise<void>,
): Promise<Answer> {
  if (reading.kind === 'bad') return rejection(record, reading.who, reading.reason, judge, alive)
  const { who, change } = reading
  try {
    const receive = () => judge.inbox.receive({ ...who, change })
    const verdict = await judge.patience.until('the ledger', receive, alive)
    return { verdict, records: [verdictRecord(verdict)] }
  } catch (error) {
    if (!(error instanceof Unstorable)) throw error
    return rejection(record, who, 'the ledger refuses the content of this event', judge, alive)
  }
}

async function rejection(
  record: Located,
  who: Who | undefined,
  reason: string,
  { inbox, patience, now }: Judge,
  alive: () => Promise<void>,
): Promise<Answer> {
  const { topic, partition, offset, value } = record
  const named = who === undefined ? {} : { id: who.id, source: who.source }
  const letter = deadLetterRecord({ reason, topic, partition, offset, value, ...named, at: now() })
  if (who === undefined) return { verdict: undefined, records: [letter] }
  try {
    const reject = () => inbox.recordRejected({ ...who, reason })
    const verdict = await patience.until('the ledger', reject, alive)
    return { verdict, records: [letter, verdictRecord(verdict)] }
  } catch (error) {
    if (!(error instanceof Unstorable)) throw error
    return { verdict: undefined, records: [letter] }
  }
}
