import { z } from 'zod'

/**
 * The fence: one key for each pair, at the server that the pair is for. It says which generation a user has, and up to which
 * number generations were ended. A user is altered in the transaction that changes the key, and only if the key is what was
 * looked at (WATCH): an installation that was paused on its way finds that its generation was ended meanwhile, and does nothing.
 *
 *   free ──▶ reserved ──▶ installed ◀──▶ suspended
 *               ▲   │         │              │
 *               └───┴──── revoked ◀──────────┘
 */
const Slot = z.object({
  user: z.string(),
  state: z.enum(['free', 'reserved', 'installed', 'suspended', 'revoked']),
  generation: z.number().int().nullable(),
  /** SHA-256 of the password, as Redis keeps it itself. */
  digest: z.string().nullable(),
})
export type Slot = z.infer<typeof Slot>

export const Fence = z.object({ endedThrough: z.number().int(), slots: z.array(Slot) })
export type Fence = z.infer<typeof Fence>

/** What the server says of a user. */
export type UserSeen = { isOn: boolean; digests: string[] }

export type Verdict =
  | 'done'
  | 'held'
  | 'ended'
  | 'suspended'
  | 'absent'
  | 'elsewhere'
  | 'full'
  | 'foreign'
  | 'other'

/** Anything but `done` changes nothing. `acl`: what is said of which user, in the same transaction. */
export type Change = {
  verdict: Verdict
  fence: Fence
  acl?: { user: string; rules: string[]; endSessions?: true }
}

export const freshFence = (users: string[]): Fence => ({
  endedThrough: 0,
  slots: users.map((user) => ({ user, state: 'free', generation: null, digest: null })),
})

const HELD = ['reserved', 'installed', 'suspended']
const held = ({ slots }: Fence, generation: number) =>
  slots.find((slot) => slot.generation === generation && HELD.includes(slot.state))

const withSlot = (fence: Fence, slot: Slot): Fence => ({
  ...fence,
  slots: fence.slots.map((one) => (one.user === slot.user ? slot : one)),
})

/** Keeps a user for a generation, so that its value can name it. The one that has rested longest. */
export function reserve(fence: Fence, generation: number): Change {
  if (held(fence, generation)) return { verdict: 'held', fence }
  if (generation <= fence.endedThrough) return { verdict: 'ended', fence }
  const [slot] = fence.slots
    .filter(({ state, generation: other }) => {
      if (state === 'reserved') return (other ?? 0) < generation
      return state === 'free' || state === 'revoked'
    })
    .toSorted((a, b) => (a.generation ?? 0) - (b.generation ?? 0))
  if (!slot) return { verdict: 'full', fence }
  return { verdict: 'done', fence: withSlot(fence, { ...slot, state: 'reserved', generation, digest: null }) }
}

export function install(
  fence: Fence,
  seen: Map<string, UserSeen>,
  { generation, user, digest }: { generation: number; user: string; digest: string },
): Change {
  const own = held(fence, generation)
  if (own?.state === 'suspended') return { verdict: 'suspended', fence }
  if (own && own.user !== user) return { verdict: 'elsewhere', fence }
  const now = seen.get(user)
  if (own?.state === 'installed') {
    const isSo = own.digest === digest && now?.isOn && now.digests.length === 1 && now.digests[0] === digest
    return { verdict: isSo ? 'held' : 'other', fence }
  }
  if (generation <= fence.endedThrough) return { verdict: 'ended', fence }
  const slot = fence.slots.find((one) => one.user === user)
  const isFree =
    slot &&
    (slot.state === 'free' ||
      slot.state === 'revoked' ||
      (slot.state === 'reserved' && (slot.generation ?? 0) <= generation))
  if (!isFree) return { verdict: 'full', fence }
  if (now?.isOn) return { verdict: 'foreign', fence }
  return {
    verdict: 'done',
    fence: withSlot(fence, { user, state: 'installed', generation, digest }),
    // Sessions of a generation that was ended: from now on nobody could tell them from the new one's.
    acl: { user, rules: ['resetpass', `#${digest}`, 'on'], endSessions: true },
  }
}

export function suspend(fence: Fence, generation: number): Change {
  const slot = held(fence, generation)
  if (slot?.state !== 'installed') return { verdict: 'held', fence }
  return {
    verdict: 'done',
    fence: withSlot(fence, { ...slot, state: 'suspended' }),
    acl: { user: slot.user, rules: ['off'] },
  }
}

export function reinstate(fence: Fence, generation: number): Change {
  const slot = held(fence, generation)
  if (!slot || slot.state === 'reserved') return { verdict: 'absent', fence }
  if (slot.state === 'installed') return { verdict: 'held', fence }
  return {
    verdict: 'done',
    fence: withSlot(fence, { ...slot, state: 'installed' }),
    acl: { user: slot.user, rules: ['on'] },
  }
}

/** Also of a generation that was never there: it must not come later. */
export function revoke(fence: Fence, generation: number): Change {
  const ended = { ...fence, endedThrough: Math.max(fence.endedThrough, generation) }
  const slot = held(fence, generation)
  if (!slot) return { verdict: fence.endedThrough === ended.endedThrough ? 'held' : 'done', fence: ended }
  return {
    verdict: 'done',
    fence: withSlot(ended, { ...slot, state: 'revoked', digest: null }),
    acl: { user: slot.user, rules: ['off', 'resetpass'] },
  }
}
