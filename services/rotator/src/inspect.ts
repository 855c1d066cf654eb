import {
  type Authority,
  type Call,
  type CredentialSpec,
  proofPublicKey,
  type ReadValue,
  RekeyError,
  type Store,
} from '@rekey/contracts'
import type { Found, FoundGeneration, FoundStore } from '@rekey/core'
import type { Ledger, ToInspect } from '@rekey/ledger'
import { Bell, type Logger, retrying } from '@rekey/runtime'

/** What a look is done with: the rotator's own stores, the prober's, and the endpoints. */
export type Eyes = {
  stores: { name: string; store: Store }[]
  proberStores: { name: string; store: Store }[]
  authority: Pick<Authority, 'probe'>
}

/** How soon to look again where a store or an endpoint did not answer. */
const AGAIN_MS = 3_000
const POLL_MS = 1_000
const LOOK_MS = 20_000

/** Looks at what is held after the ledger was restored, again and again until each store and endpoint has answered. */
export function inspectHeld(options: {
  ledger: Pick<Ledger, 'toInspect' | 'recordFound' | 'onEffects'>
  eyes: (spec: CredentialSpec, credential: string) => Eyes
  worker: string
  logger: Logger
}): { close(): Promise<void> } {
  const { ledger, eyes, worker, logger } = options
  const ending = new AbortController()
  const bell = new Bell()
  const listener = ledger.onEffects(() => bell.ring())
  const one = async (item: ToInspect) => {
    const { credential, recovery } = item
    const signal = AbortSignal.any([ending.signal, AbortSignal.timeout(LOOK_MS)])
    try {
      const all = eyes(item.spec, credential)
      const seeing = item.spec.firstValue === 'adopt' ? pastForeign(all) : all
      const found = await look(credential, seeing, { key: `${credential}.look.${recovery}`, signal })
      await ledger.recordFound(item, { found }, worker)
    } catch (error) {
      if (ending.signal.aborted) return
      logger.warn({ credential, error }, 'what is held could not be looked at')
      const known = RekeyError.is(error)
      const why = known
        ? `${error.code}: ${error.message}`
        : 'an unexpected fault; see the log of the rotator'
      await ledger.recordFound(item, { error: why }, worker)
    }
  }
  const looking = retrying(logger, 'look at what is held', ending.signal, async () => {
    await Promise.all((await ledger.toInspect(AGAIN_MS)).map(one))
    await bell.wait(POLL_MS, ending.signal)
  })
  return {
    async close() {
      ending.abort()
      await Promise.all([looking, listener.close()])
    },
  }
}

/** Before its adoption what readers get is somebody else's, which is as good as nothing here. */
function pastForeign(eyes: Eyes): Eyes {
  const stores = eyes.stores.map(({ name, store }) => ({
    name,
    store: {
      ...store,
      readCurrent: (call: Call) =>
        store.readCurrent(call).catch((error) => {
          if (RekeyError.is(error) && error.code === 'foreign_writer') return undefined
          throw error
        }),
    },
  }))
  return { ...eyes, stores }
}

/** Reads every store and tries every value that is still in one of them. Changes nothing. */
export async function look(credential: string, eyes: Eyes, call: Call): Promise<Found> {
  const shown = await Promise.all(
    eyes.stores.map(async ({ name, store }) => {
      const [current, listed] = await Promise.all([store.readCurrent(call), store.list(call)])
      // Withdrawn: readers find nothing, by a version that the next promotion replaces.
      const version = current?.storeVersion ?? listed.find((v) => v.labels.includes('current'))?.storeVersion
      return { name, store, current, version, listed: listed.flatMap((v) => v.generation ?? []) }
    }),
  )
  const stores = shown.map(
    ({ name, current, version }): FoundStore => ({
      store: name,
      current: current?.generation ?? null,
      storeVersion: version ?? null,
    }),
  )
  const all = new Set(
    shown.flatMap(({ current, listed }) => [...listed, ...(current ? [current.generation] : [])]),
  )
  const generations: FoundGeneration[] = []
  for (const generation of [...all].sort((a, b) => a - b)) {
    const held: { name: string; value: ReadValue }[] = []
    for (const { name, store } of shown) {
      const value = await store.read(generation, call)
      if (value) held.push({ name, value })
    }
    // Listed, and without a value: nothing of it is left.
    const [first] = held
    if (!first) continue
    if (held.some((h) => !h.value.value.equals(first.value.value)))
      throw new RekeyError('foreign_writer', `the stores hold different values of generation ${generation}`)
    generations.push({
      generation,
      keyId: first.value.keyId,
      proofKey: proofPublicKey(first.value.value, credential, generation),
      stores: held.map((h) => h.name),
      tried: await tryAt(
        generation,
        held.map((h) => h.name),
        eyes,
        call,
      ),
    })
  }
  return { stores, generations }
}

/** With the prober's own reading of it, as every probe. */
async function tryAt(
  generation: number,
  heldBy: string[],
  { proberStores, authority }: Eyes,
  call: Call,
): Promise<FoundGeneration['tried']> {
  for (const { store } of proberStores.filter((s) => heldBy.includes(s.name))) {
    const read = await store.read(generation, call)
    if (!read) continue
    const verdicts = (await authority.probe(read.value, call)).map((answer) => answer.verdict)
    if (verdicts.includes('refused')) return 'refused'
    return verdicts.length > 0 && verdicts.every((v) => v === 'accepted') ? 'accepted' : 'unknown'
  }
  return 'untried'
}
