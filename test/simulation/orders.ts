import type { Plan } from '@rekey/core'
import type { When } from './faults.ts'
import type { Random } from './random.ts'
import { when } from './when.ts'

/** Which generation somebody means, as they see it when they say so. */
export type About = 'unsaid' | 'base' | 'successor' | 'both' | 'retiring'

export type Order = When & { credential: string } & (
    | { kind: 'rotate' }
    | { kind: 'retire' }
    | { kind: 'expedite' | 'contain'; about: About }
    | { kind: 'already-dead' }
    | { kind: 'rollback' | 'hold' | 'resume' }
    | { kind: 'excuse'; node: number; ms: number }
    /** No routine rotation goes on for a while, of this credential or of any. */
    | { kind: 'pause'; ms: number; all: boolean }
    | { kind: 'end-pause'; all: boolean }
  )

type Drawn = {
  healsAt: number
  credentials: { name: string; plan: Plan; isAdopted: boolean }[]
  nodes: string[]
}

export function orders(random: Random, { healsAt, credentials, nodes }: Drawn): Order[] {
  const found: Order[] = []
  for (const { name: credential, isAdopted, plan } of credentials) {
    const first = random.between(200, 2_000)
    const start = random.chance(0.75) ? 'rotate' : random.pick(['expedite', 'contain', 'retire'] as const)
    if (!isAdopted || start === 'rotate') found.push({ at: first, credential, kind: 'rotate' })
    else if (start === 'retire') found.push({ at: first, credential, kind: 'retire' })
    else found.push({ at: first, credential, kind: start, about: 'unsaid' })
    // The last cheap brake is rarely pulled by chance.
    if (plan.soakMs !== null && random.chance(0.5)) {
      const plus = random.pick([0, 50, 300])
      found.push({ at: first, on: 'suspending', plus, credential, kind: 'rollback' })
    }
    // A value that leaks while it is being installed is rare too.
    if (plan.direction === 'outbound' && random.chance(0.15)) {
      const plus = random.pick([50, 150, 300, 500])
      found.push({ at: first, on: 'staging', plus, credential, kind: 'contain', about: 'successor' })
    }
    const more = random.pick([0, 0, 1, 1, 2, 3, 5])
    for (let i = 0; i < more; i++) {
      const at = first + random.between(100, Math.min(healsAt - first, 20_000))
      found.push({ ...when(random, at, healsAt), credential, ...order(random, nodes) })
    }
  }
  return found
}

function order(random: Random, nodes: string[]) {
  const kind = random.pick([
    'rotate',
    'rollback',
    'rollback',
    'hold',
    'resume',
    'expedite',
    'contain',
    'contain',
    'retire',
    'already-dead',
    'excuse',
  ] as const)
  if (kind === 'expedite' || kind === 'contain') {
    const about = random.pick([
      'unsaid',
      'base',
      'base',
      'successor',
      'successor',
      'both',
      'retiring',
    ] as const)
    return { kind, about }
  }
  if (kind === 'excuse') return { kind, node: random.between(0, Math.max(0, nodes.length - 1)), ms: 8_000 }
  return { kind }
}

/**
 * Pauses by a human, with what comes to a paused credential: causes of either kind, an early end, another pause. On top of
 * the other orders, and of a draw of their own: what they find there does not depend on them.
 */
export function pauses(random: Random, { healsAt, credentials }: Drawn): Order[] {
  if (!random.chance(0.15)) return []
  return credentials.flatMap((one) => (random.chance(0.8) ? pause(random, one, healsAt) : []))
}

function pause(
  random: Random,
  { name: credential, plan }: Drawn['credentials'][number],
  healsAt: number,
): Order[] {
  const at = random.between(200, Math.min(healsAt, 20_000))
  // The last cheap brake is rarely met by chance.
  const isBraking = plan.soakMs !== null && random.chance(0.5)
  const begins: When = isBraking ? { at: 200, on: 'suspending', plus: 0 } : when(random, at, healsAt)
  const ms = random.pick([1_000, 3_000, 8_000, 20_000, 40_000])
  const all = random.chance(0.2)
  const later = (): When => {
    const plus = random.between(1, Math.min(ms, random.pick([500, 10_000])))
    return begins.on === undefined ? { at: begins.at + plus } : { ...begins, plus: (begins.plus ?? 0) + plus }
  }
  const found: Order[] = [{ ...begins, credential, kind: 'pause', ms, all }]
  if (random.chance(0.5))
    found.push({ ...later(), credential, kind: random.pick(['rotate', 'rotate', 'retire'] as const) })
  if (random.chance(0.6)) {
    const about = random.pick(['unsaid', 'base', 'successor', 'both', 'retiring'] as const)
    found.push({ ...later(), credential, kind: random.pick(['expedite', 'contain'] as const), about })
  }
  if (random.chance(0.15))
    found.push({ ...later(), credential, kind: random.pick(['rollback', 'resume'] as const) })
  if (random.chance(0.2))
    found.push({ ...later(), credential, kind: 'pause', ms: random.pick([500, 5_000, 30_000]), all })
  if (random.chance(0.4)) found.push({ ...later(), credential, kind: 'end-pause', all })
  return found
}
