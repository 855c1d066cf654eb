import type { AcceptedValue, DesiredState, Nack, Probe, Secret } from '@rekey/contracts'
import type { NodeAdapter } from './adapters/node-adapter.ts'
import type { ValueSource } from './value-source.ts'

export type Problem = {
  reason: Nack['reason']
  detail: string
  generation: number | null
  /** Whether the same order may succeed later without a new one. */
  retry: boolean
}

export type Reached = {
  accept: AcceptedValue[]
  tried: Map<number, Probe>
  /** What the node saw when it tried the refused values that it still held. */
  refusals: Map<number, Probe>
  /** Accepted generations whose values the store gave just now, not only memory. */
  read: number[]
}

export type Attempt =
  | { kind: 'reached'; reached: Reached }
  | { kind: 'failed'; problem: Problem }
  | { kind: 'stale' }

type Tools = {
  adapter: NodeAdapter
  values: ValueSource
  /** Values in memory by generation, with those that shall be refused now. */
  held: ReadonlyMap<number, Secret>
  /** Generations that the store need not be asked for again, where their values are held. */
  known: ReadonlySet<number>
  /** A newer order came in: stop between two steps. */
  isStale: () => boolean
}

const failed = (
  reason: Problem['reason'],
  detail: string,
  generation: number | null = null,
  retry = true,
): Attempt => ({ kind: 'failed', problem: { reason, detail, generation, retry } })

/**
 * One try to bring the serving software to a desired state. Nothing new is accepted before every value is at hand, and
 * it says "reached" only after it tried the values on the real path.
 */
export async function attempt(state: DesiredState, tools: Tools): Promise<Attempt> {
  const { adapter, values, held, known, isStale } = tools

  for (const { generation } of state.accept) {
    if (generation < state.floor)
      return failed('below_floor', `the floor is ${state.floor}`, generation, false)
  }

  const isKnown = ({ generation }: { generation: number }) => known.has(generation) && held.has(generation)
  const accept: AcceptedValue[] = []
  const [fetched] = await Promise.all([
    Promise.all(
      state.accept.map(async (wanted) => ({
        wanted,
        answer: isKnown(wanted)
          ? ({ kind: 'known' } as const)
          : await values.fetch(state.store, wanted.generation, wanted.keyId),
      })),
    ),
    // A refusal waits for no read: a store that is slow, or away, would keep a leaked key alive.
    state.accept.every(isKnown) ? undefined : dropRefused(adapter, state),
  ])
  if (isStale()) return { kind: 'stale' }
  for (const { wanted, answer } of fetched) {
    // With the store away, a value in memory is as good: generations never change their value.
    const value = answer.kind === 'value' ? answer.value : held.get(wanted.generation)
    if (answer.kind === 'missing') return failed('value_missing', answer.detail, wanted.generation)
    if (value === undefined) {
      return failed(
        'store_unreachable',
        answer.kind === 'unreachable' ? answer.detail : '',
        wanted.generation,
      )
    }
    accept.push({ ...wanted, value })
  }

  try {
    await adapter.apply(accept)
  } catch (error) {
    return failed('adapter_failed', (error as Error).message)
  }

  const tried = new Map<number, Probe>()
  for (const { generation, value } of accept) {
    if (isStale()) return { kind: 'stale' }
    const seen = await adapter.tryValue(value)
    tried.set(generation, seen)
    if (seen === 'refused') return failed('value_refused', 'refused on the real path', generation)
    if (seen === 'unknown' && adapter.canTry) {
      return failed('adapter_failed', 'no clear answer on the real path', generation)
    }
  }

  const refusals = new Map<number, Probe>()
  for (const generation of state.refuse) {
    const value = held.get(generation)
    // A value that an accepted generation shares cannot be refused; the authority never makes such a pair.
    if (value === undefined || accept.some((a) => a.value.equals(value))) continue
    if (isStale()) return { kind: 'stale' }
    const seen = await adapter.tryValue(value)
    refusals.set(generation, seen)
    if (seen === 'accepted') return failed('adapter_failed', 'still accepted on the real path', generation)
    if (seen === 'unknown' && adapter.canTry) {
      return failed('adapter_failed', 'no clear answer on the real path', generation)
    }
  }
  const read = fetched.filter(({ answer }) => answer.kind === 'value').map(({ wanted }) => wanted.generation)
  return { kind: 'reached', reached: { accept, tried, refusals, read } }
}

/** What must be refused is refused now, where the software can do that without the values that we lack. */
async function dropRefused(adapter: NodeAdapter, state: DesiredState): Promise<void> {
  if (state.refuse.length === 0) return
  // The order is not reached by that; a failure here comes again when it is applied, and is reported then.
  await adapter.drop?.(state.refuse).catch(() => {})
}
