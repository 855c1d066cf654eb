import { verifyChain } from '@rekey/audit'
import { validator } from '@rekey/audit/validator'
import type { RotationView } from '@rekey/ledger'
import type { Tally } from '@rekey/platform'
import { type Check, trafficOf } from './display.ts'

/** What was seen from outside, by clients, readers, a prober and a SIEM. */
export type Evidence = {
  tally: Tally
  generations: { vault: number | null; aws: number | null }
  /** What the gateways answered to the old value, before the rotation and after it. */
  old: { before: number[]; after: number[] }
  verdicts: Record<string, number>
  /** Rotations that replaced a value. */
  rotations: RotationView[]
  /** What Rekey's own prober saw last. */
  probes: string[]
  rotatorRestarts: number
  audit: string[]
}

/** Judges the evidence; every line is one promise of the README. */
export function judgeEvidence(evidence: Evidence): Check[] {
  const { tally, generations, old, verdicts, rotations, probes, rotatorRestarts, audit } = evidence
  const count = (list: unknown[], wanted: unknown) => list.filter((item) => item === wanted).length
  const events = Object.values(verdicts).reduce((sum, n) => sum + n, 0)
  const kinds = Object.entries(verdicts).map(([kind, n]) => `${kind} ${n}`)
  return [
    {
      name: 'no failed request',
      ok: tally.ok > 0 && tally.streamsOk > 0 && tally.failed === 0 && tally.streamsFailed === 0,
      seen: [trafficOf(tally), ...tally.failures].join('; '),
    },
    {
      name: 'both stores on the new generation',
      ok: generations.vault === 2 && generations.aws === 2,
      seen: `vault g${generations.vault}, aws g${generations.aws}`,
    },
    {
      name: 'old key refused',
      ok: count(old.before, 200) === 3 && count(old.after, 401) === 3 && count(probes, 'refused') === 3,
      seen: `prober ${count(probes, 'refused')}/${probes.length}, our own knock ${count(old.after, 401)}/3 (before: accepted ${count(old.before, 200)}/3)`,
    },
    {
      name: 'exactly one rotation for all events',
      ok: rotations.length === 1 && verdicts['rotation-opened'] === 1 && events === 1_001,
      seen: `${rotations.length} for ${events} events (${kinds.join(', ')})`,
    },
    {
      name: 'the killed rotator was no harm',
      ok: rotatorRestarts >= 1 && rotations[0]?.outcome === 'closed' && rotations[0].exceptions.length === 0,
      seen: `killed ${rotatorRestarts === 1 ? 'once' : `${rotatorRestarts} times`}, rotation ${rotations[0]?.outcome}`,
    },
    auditCheck(audit),
  ]
}

function auditCheck(records: string[]): Check {
  const validate = validator()
  const invalid = records.flatMap((record) => validate(JSON.parse(record)))
  const chain = verifyChain(records)
  const chainSeen = chain.ok ? 'chain unbroken' : `${chain.fault} at record ${chain.index}: ${chain.detail}`
  return {
    name: 'audit records valid',
    ok: records.length > 0 && invalid.length === 0 && chain.ok,
    seen: `${records.length} OCSF 1.8.0 records, ${invalid.length} faults${invalid[0] ? ` (${invalid[0]})` : ''}, ${chainSeen}`,
  }
}
