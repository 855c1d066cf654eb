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
type Slot = {
  generation?: number
  value: Secret
  suspended: boolean
  /** Of what the account made itself: its name, and the account's clock at its making and at its last use. */
  minted?: { keyId: string; at: number; usedAt: number | null }
}

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

export type MemoryAuthority = Required<
  Omit<
    Authority,
    'adopt' | 'list' | 'mint' | 'keep' | 'discard' | 'sessions' | 'endSessions' | 'lastUsed' | 'show'
  >
> &
  Authority

/** An outbound Authority without a server: each request is atomic. Passes the same kit as the real ones. */
export function memoryAuthority(
  account: MemoryAccount = memoryAccount(),
  way: MemoryWay = memoryWay(),
): MemoryAuthority {
  const slotOf = (generation: number) => account.held.find((slot) => slot.generation === generation)

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

  return {
    ...endingOf(account, way, slotOf),
    valueFrom: 'us',
    make: () => newValue(),

    /** Two requests, as with real ones: put it there, then try it. */
    async install(value, call) {
      await way.reach(call.signal, () => put(value))
      const works = await way.reach(call.signal, () => accepts(account, value.value))
      if (!works) throw tooLate(value.generation, 'was ended while it was installed')
    },
  }
}

export type MemoryProviderOptions = {
  /** The name of a generation's value, as it was kept. */
  keyIdOf: (generation: number) => string | undefined
  /** For how long a worker that was slow may keep what it made. */
  keptWithinMs?: number
}

/** The same for values that the account makes: they are accepted from then on, and `install` only tries them. */
export function memoryProvider(
  account: MemoryAccount,
  way: MemoryWay,
  { keyIdOf, keptWithinMs = 0 }: MemoryProviderOptions,
): Authority {
  const named = (keyId: string | undefined) =>
    account.held.find(({ minted }) => minted !== undefined && minted.keyId === keyId)
  const slotOf = (generation: number) => named(keyIdOf(generation))

  /** Nobody has what was made since `known` was noted, and what an attempt of ours made names its generation. */
  const orphans = (known: readonly string[], generation: number) =>
    account.held.flatMap(({ minted, generation: of }) =>
      minted && of === generation && !known.includes(minted.keyId) ? [minted] : [],
    )

  function clear(known: readonly string[], generation: number): void {
    for (const { keyId, at, usedAt } of orphans(known, generation)) {
      if (usedAt !== null) throw new RekeyError('foreign_writer', `${keyId} is in use, and nobody kept it`)
      if (account.now() < at + keptWithinMs)
        throw new RekeyError('backend_unavailable', `${keyId} was made a moment ago, and may be kept yet`)
      end(keyId)
    }
  }

  function end(keyId: string): void {
    account.held = account.held.filter((slot) => slot !== named(keyId))
  }

  return {
    ...endingOf(account, way, slotOf),
    valueFrom: 'provider',
    list: (call) =>
      way.reach(call.signal, () => account.held.flatMap(({ minted }) => (minted ? [minted.keyId] : []))),

    /** Two requests, as with real ones: clear, then make. */
    async mint(known, call, generation) {
      await way.reach(call.signal, () => clear(known, generation))
      return way.reach(call.signal, () => mintInto(account, generation))
    },

    discard: (keyId, call) => way.reach(call.signal, () => end(keyId)),

    async install({ generation, keyId, value }, call) {
      const slot = await way.reach(call.signal, () => named(keyId))
      if (!slot || slot.suspended) throw tooLate(generation, slot ? 'is suspended' : 'is gone')
      const works = await way.reach(call.signal, () => accepts(account, value))
      if (!works) throw tooLate(generation, 'was ended while it was installed')
    },

    lastUsed: (generation, call) => way.reach(call.signal, () => slotOf(generation)?.minted?.usedAt ?? null),
  }
}

/** Makes a value in the account, as its own administrator can. `generation` is absent for somebody else's. */
export function mintInto(account: MemoryAccount, generation?: number): { keyId: string; value: Secret } {
  if (account.held.length >= account.slots)
    throw new RekeyError('not_allowed_now', 'the account has no free slot')
  const minted = { keyId: `key-${randomBytes(6).toString('hex')}`, at: account.now(), usedAt: null }
  const value = newValue()
  account.held.push({ ...(generation !== undefined && { generation }), value, suspended: false, minted })
  return { keyId: minted.keyId, value }
}

const newValue = () => Secret.of(randomBytes(32).toString('base64url'))

const tooLate = (generation: number, why: string) =>
  new RekeyError('not_allowed_now', `generation ${generation} ${why}`)

/** What both have: the ways to an end, and the way to try a value. */
function endingOf(account: MemoryAccount, way: MemoryWay, slotOf: (generation: number) => Slot | undefined) {
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

    suspend: (generation: number, call: Call) =>
      way.reach(call.signal, () => {
        const slot = slotOf(generation)
        if (!slot) return
        linger(slot)
        slot.suspended = true
      }),

    reinstate: (generation: number, call: Call) =>
      way.reach(call.signal, () => {
        const slot = slotOf(generation)
        if (!slot) throw tooLate(generation, 'is not there any more')
        slot.suspended = false
      }),

    revoke: (generation: number, call: Call) =>
      way.reach(call.signal, () => {
        account.revoked.add(generation)
        const slot = slotOf(generation)
        if (!slot) return
        linger(slot)
        account.held = account.held.filter((other) => other !== slot)
      }),

    probe: async (value: Secret, call: Call): Promise<ProbeResult[]> => [
      { endpoint: 'memory', ...(await tryIt(value, call)) },
    ],
  } as const
}
