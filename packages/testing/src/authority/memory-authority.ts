import { randomBytes } from 'node:crypto'
import {
  type Authority,
  type Call,
  type Probe,
  type ProbeResult,
  RekeyError,
  Secret,
  type StoredValue,
} from '@rekey/contracts'
import { type MemoryWay, memoryWay } from '../store/memory-way.ts'

/** What the authority holds in one slot. `generation` is absent for what somebody else put there. */
type Slot = { generation?: number; value: Secret; suspended: boolean }

export type MemoryAccountOptions = {
  /** How many values it can accept at once. */
  slots?: number
  /** A value that was ended is still accepted for so long: real authorities have caches. */
  refusalLagMs?: number
  /** The account's clock, for tests that have their own. */
  now?: () => number
  /** Which values its policy takes; all of them by default. */
  takes?: (value: Secret) => boolean
}

/** One account in memory, as an authority's server would hold it. Several authorities can be bound to it. */
export type MemoryAccount = Required<MemoryAccountOptions> & {
  held: Slot[]
  /** Its fence: generations that no late `install` brings back. */
  revoked: Set<number>
  /** What was ended, and until when it is still accepted. */
  lingering: { value: Secret; until: number }[]
}

export function memoryAccount(options: MemoryAccountOptions = {}): MemoryAccount {
  return {
    slots: 2,
    refusalLagMs: 0,
    now: () => Date.now(),
    takes: () => true,
    ...options,
    held: [],
    revoked: new Set(),
    lingering: [],
  }
}

/** Does the account accept this value now? */
export function accepts({ held, lingering, now }: MemoryAccount, value: Secret): boolean {
  const isHeld = held.some((slot) => !slot.suspended && slot.value.equals(value))
  return isHeld || lingering.some((gone) => gone.value.equals(value) && gone.until > now())
}

/** An outbound Authority without a server: each request is atomic. Passes the same kit as the real ones. */
export function memoryAuthority(
  account: MemoryAccount = memoryAccount(),
  way: MemoryWay = memoryWay(),
): Required<Authority> {
  const slotOf = (generation: number) => account.held.find((slot) => slot.generation === generation)
  const tooLate = (generation: number, why: string) =>
    new RekeyError('not_allowed_now', `generation ${generation} ${why}`)

  function put({ generation, value }: StoredValue): void {
    if (account.revoked.has(generation)) throw tooLate(generation, 'was revoked')
    const slot = slotOf(generation)
    if (slot) {
      if (!slot.value.equals(value)) {
        throw new RekeyError('foreign_writer', `generation ${generation} has another value there`)
      }
      if (slot.suspended) throw tooLate(generation, 'is suspended')
      return
    }
    if (!account.takes(value)) throw new RekeyError('value_refused', 'the value does not suit the policy')
    if (account.held.length >= account.slots) throw tooLate(generation, 'finds no free slot')
    account.held.push({ generation, value, suspended: false })
  }

  function linger(slot: Slot): void {
    if (!slot.suspended)
      account.lingering.push({ value: slot.value, until: account.now() + account.refusalLagMs })
  }

  async function tryIt(value: Secret, call: Call): Promise<{ verdict: Probe; seen: string }> {
    try {
      const accepted = await way.reach(call.signal, () => accepts(account, value))
      return accepted ? { verdict: 'accepted', seen: '200' } : { verdict: 'refused', seen: '401' }
    } catch {
      return { verdict: 'unknown', seen: call.signal.aborted ? 'timeout' : 'no connection' }
    }
  }

  return {
    kind: 'memory',
    direction: 'outbound',
    slots: account.slots,
    valueFrom: 'us',
    make: () => Secret.of(randomBytes(32).toString('base64url')),

    /** Two requests, as with real ones: put it there, then try it. */
    async install(value, call) {
      await way.reach(call.signal, () => put(value))
      const works = await way.reach(call.signal, () => accepts(account, value.value))
      if (!works) throw tooLate(value.generation, 'was ended while it was installed')
    },

    suspend: (generation, call) =>
      way.reach(call.signal, () => {
        const slot = slotOf(generation)
        if (!slot) return
        linger(slot)
        slot.suspended = true
      }),

    reinstate: (generation, call) =>
      way.reach(call.signal, () => {
        const slot = slotOf(generation)
        if (!slot) throw tooLate(generation, 'is not there any more')
        slot.suspended = false
      }),

    revoke: (generation, call) =>
      way.reach(call.signal, () => {
        account.revoked.add(generation)
        const slot = slotOf(generation)
        if (!slot) return
        linger(slot)
        account.held = account.held.filter((other) => other !== slot)
      }),

    probe: async (value, call): Promise<ProbeResult[]> => [
      { endpoint: 'memory', ...(await tryIt(value, call)) },
    ],
  }
}
