import type { JournalEntry } from '@rekey/ledger'
import type { Heard } from '../../fleet/played-node.ts'

/** What happened between two moments, in the order of an emergency. */
export type Step = { name: string; ms: number }

export type Frame = {
  /** The order's acknowledgement, and the last refusal, on the monotonic clock. */
  answeredAt: number
  lastAt: number
  /** Between that clock and the ledger's. */
  wallOffsetMs: number
}

const WAVES: Record<string, string> = {
  widen: 'accepts both',
  confirm: 'confirms',
  narrow: 'refuses the leaked one',
}

/**
 * Where the time went from the acknowledgement to the last refusal: the journal's times, and in each wave what the nodes
 * noted. Each step begins where the one before it ended, so that they add up. An entry has the time at which its
 * transaction began.
 */
export function stepsOf(entries: JournalEntry[], heard: Heard, frame: Frame): Step[] {
  const moments = momentsOf(entries, heard, frame.wallOffsetMs)
  const steps: Step[] = []
  let from = frame.answeredAt
  for (const { name, at } of moments) {
    // What comes after the last refusal is no exposure.
    if (at >= frame.lastAt) break
    steps.push({ name, ms: at - from })
    from = at
  }
  return [...steps, { name: 'the last place is seen to refuse', ms: frame.lastAt - from }]
}

type Moment = { name: string; at: number }

function momentsOf(entries: JournalEntry[], heard: Heard, wallOffsetMs: number): Moment[] {
  const atOf = (entry: JournalEntry) => Date.parse(entry.at) - wallOffsetMs
  // A containment revokes first, and brings up what comes next beside it: that is no part of the exposure.
  const isContained = entries.some((e) => e.type === 'RotationOpened' && e.data.mode === 'contain')
  const moments: Moment[] = []
  for (const entry of entries) {
    const { type, data } = entry
    if (type === 'WaveStarted') {
      const who = wordsOf(data)
      const wave = heard[Number(data.revision)]
      if (!wave || (isContained && data.purpose !== 'narrow')) continue
      moments.push({ name: `${who}: until all are told`, at: wave.toldAt })
      moments.push({ name: `${who}: read, applied, answered`, at: wave.answeredAt })
      const proved = entries.find((e) => e.type === 'WaveProved' && e.data.revision === data.revision)
      if (proved) moments.push({ name: `${who}: checked and recorded`, at: atOf(proved) })
    } else if (!isContained && NAMES[type] !== undefined) moments.push({ name: NAMES[type], at: atOf(entry) })
  }
  return moments
}

const NAMES: Record<string, string> = {
  ValueStaged: 'the value is made, and in Vault',
  ConfirmingStarted: 'the store shows the next value',
  SuccessorLive: 'the old value was seen accepted',
  RevocationStarted: 'the drain is cut, the gate is passed',
}

function wordsOf({ purpose, wave, waves }: JournalEntry['data']): string {
  const isCanary = wave === 0 && Array.isArray(waves) && waves.length > 1
  return `${isCanary ? 'the canary' : 'everybody'} ${WAVES[String(purpose)] ?? String(purpose)}`
}
