import { RekeyError } from '@rekey/contracts'
import { Pace, type Rate } from './pace.ts'

/** Which calls share a quota. */
export type QuotaKind = keyof typeof RATES

/**
 * Below what AWS allows for each account and region (https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html),
 * so that no window of a second holds more. IAM's are not published; its figure is ours.
 */
export const RATES = {
  /**
   * PutSecretValue, UpdateSecretVersionStage and others together: 50 a second. CreateSecret is counted here, too. The reserve is
   * what brings an emergency's value up. One is left beside it for timers that come late: a turn that was due is not lost.
   */
  write: { perS: 46, burst: 4, reserve: 2 },
  /** ListSecretVersionIds: 50 a second. */
  list: { perS: 46, burst: 4, reserve: 2 },
  /** DescribeSecret and GetSecretValue together: 10,000 a second, of which most is for readers. */
  read: { perS: 2_000, burst: 200, reserve: 50 },
  iam: { perS: 20, burst: 20, reserve: 5 },
} as const satisfies Record<string, Rate>

/** A routine call that would wait for longer fails instead: the ledger tries it again, and its slot is free for others. */
const PATIENCE_MS = 2_000

type Clock = {
  now(): number
  /** Calls back once, after so long; what it returns calls that off. */
  after(ms: number, then: () => void): () => void
}

const CLOCK: Clock = {
  now: () => performance.now(),
  after(ms, then) {
    const timer = setTimeout(then, ms)
    return () => clearTimeout(timer)
  },
}

type Waiter = { go: (takenAt: number) => void; isUrgent: boolean }

/** What one kind of call may use in one account and region. Whoever uses it waits for a turn; emergencies go first. */
export class Quota {
  readonly #name: string
  readonly #pace: Pace
  readonly #clock: Clock
  readonly #urgent: Waiter[] = []
  readonly #routine: Waiter[] = []
  #callOff: (() => void) | undefined

  constructor(name: string, pace: Pace, clock: Clock = CLOCK) {
    this.#name = name
    this.#pace = pace
    this.#clock = clock
  }

  /** When the turn was taken: for `passed` and `refused`. */
  turn(
    what: string,
    { signal, urgent = false }: { signal?: AbortSignal; urgent?: boolean },
  ): Promise<number> {
    const line = urgent ? this.#urgent : this.#routine
    const expectedMs = this.#pace.expectedMs(this.#clock.now(), this.#urgent.length + line.length)
    if (!urgent && expectedMs > PATIENCE_MS) return Promise.reject(this.#refusal(what, expectedMs))
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        isUrgent: urgent,
        go: (takenAt) => {
          signal?.removeEventListener('abort', leave)
          resolve(takenAt)
        },
      }
      const leave = () => {
        line.splice(line.indexOf(waiter), 1)
        reject(this.#refusal(what, this.#pace.expectedMs(this.#clock.now(), line.length)))
        this.#next()
      }
      signal?.addEventListener('abort', leave, { once: true })
      line.push(waiter)
      this.#next()
    })
  }

  passed(takenAt: number): void {
    this.#pace.passed(takenAt)
  }

  /** AWS asked for fewer calls: everybody of this account and region makes a pause. */
  refused(takenAt: number): void {
    this.#pace.refused(this.#clock.now(), takenAt)
    this.#next()
  }

  #next(): void {
    this.#callOff?.()
    this.#callOff = undefined
    for (;;) {
      const line = this.#urgent.length > 0 ? this.#urgent : this.#routine
      const [waiter] = line
      if (!waiter) return
      const now = this.#clock.now()
      const waitMs = this.#pace.take(now, waiter.isUrgent)
      if (waitMs > 0) {
        this.#callOff = this.#clock.after(Math.ceil(waitMs), () => this.#next())
        return
      }
      line.shift()
      waiter.go(now)
    }
  }

  #refusal(what: string, expectedMs: number): RekeyError {
    const inS = Math.max(1, Math.ceil(expectedMs / 1_000))
    return new RekeyError(
      'throttled',
      `${what}: the quota of ${this.#name} is used up; there may be a turn in ${inS} s`,
    )
  }
}

/** All quotas that a process keeps: one instance for all its clients. */
export type Quotas = { of(account: string, region: string, kind: QuotaKind): Quota }

/** `writesPerS`: less than the whole, where several processes or other software use the same account and region. */
export function awsQuotas({ writesPerS = RATES.write.perS }: { writesPerS?: number } = {}): Quotas {
  const known = new Map<string, Quota>()
  return {
    of(account, region, kind) {
      const name = `${WHAT[kind]} in ${region} (${account === OWN_ACCOUNT ? 'our own account' : `account ${account}`})`
      const found = known.get(name)
      if (found) return found
      const rate: Rate = kind === 'write' ? { ...RATES.write, perS: writesPerS } : RATES[kind]
      const made = new Quota(name, new Pace(rate))
      known.set(name, made)
      return made
    },
  }
}

/** The account of Rekey's own identity, whose number it does not ask for. */
export const OWN_ACCOUNT = 'own'

const WHAT: Record<QuotaKind, string> = {
  write: 'writes to Secrets Manager',
  list: 'lists of versions from Secrets Manager',
  read: 'reads from Secrets Manager',
  iam: 'calls of IAM',
}
