/** A refused request, as it is journalled. */
export type Denial = {
  /** As the journal names who asked. */
  actor: string
  principal: { type: string; id: string }
  action: string
  resource: { type: string; id: string }
  policies: string[]
  errors: string[]
  digest: string
}

/** `denial` was refused so many times more; undefined: several that were not written down one by one. */
export type Tally = { denial: Denial | undefined; times: number }

type Limits = { windowMs: number; perActor: number; inAll: number }

const LIMITS: Limits = { windowMs: 60_000, perActor: 10, inAll: 60 }

/**
 * Bounds what refused requests write into the ledger, however many come. In each window the first refusal of the same
 * principal, action and resource is written at once, and its repeats as one count when the window ends; what goes on and
 * on is one entry for each window. Beyond `perActor` different ones of one actor, and `inAll` of all of them, only the
 * number is written. So no window has more than `2 * inAll + 1` entries.
 */
export function denialBook(limits: Partial<Limits> = {}) {
  const { windowMs, perActor, inAll } = { ...LIMITS, ...limits }
  let since: number | undefined
  let open = new Map<string, { denial: Denial; by: string; repeats: number }>()
  let beyond = 0

  function close(now: number): Tally[] {
    const repeated = [...open].filter(([, { repeats }]) => repeats > 0)
    const tallies: Tally[] = repeated.map(([, { denial, repeats }]) => ({ denial, times: repeats }))
    if (beyond > 0) tallies.push({ denial: undefined, times: beyond })
    // What went on stays known, so that the next one counts as a repeat.
    open = new Map(repeated.map(([key, one]) => [key, { ...one, repeats: 0 }]))
    beyond = 0
    since = open.size > 0 ? now : undefined
    return tallies
  }

  return {
    /** What is to be written now. `by` is who is counted together: names that anybody can make up are one. */
    note(denial: Denial, by: string, now: number): Tally[] {
      const ended = since !== undefined && now - since >= windowMs ? close(now) : []
      since ??= now
      const key = JSON.stringify([denial.principal, denial.action, denial.resource])
      const known = open.get(key)
      if (known) {
        known.repeats++
        return ended
      }
      const others = [...open.values()].filter((one) => one.by === by).length
      if (open.size >= inAll || others >= perActor) {
        beyond++
        return ended
      }
      open.set(key, { denial, by, repeats: 0 })
      return [...ended, { denial, times: 1 }]
    },
    /** What is to be written because a window ended, or, at the end of the process, `all`. */
    due(now: number, all = false): Tally[] {
      return since !== undefined && (all || now - since >= windowMs) ? close(now) : []
    },
  }
}
