import { type Call, type LiveValue, proofPublicKey, RekeyError, type Store } from '@rekey/contracts'
import type { Effect, EffectResult } from '@rekey/core'
import type { Leased } from '@rekey/ledger'
import type { Hands } from './act.ts'

type Stage = Extract<Effect, { kind: 'stage' }>
type Promote = Extract<Effect, { kind: 'promote' }>
type Live = { name: string; live: LiveValue }
type Read = { name: string; live: LiveValue | undefined }

/**
 * Stages the value that readers of all stores get already. Before the first act every store was read and every endpoint
 * accepted it: what is refused is refused with nothing written.
 */
export async function stageLive(
  { rotation, keyIds }: Pick<Leased, 'rotation' | 'keyIds'>,
  { generation, store: name }: Stage,
  { stores, authority, replaces }: Hands,
  call: Call,
): Promise<EffectResult> {
  if (!replaces) throw new Error('rotator-0003: nothing can be kept of what an adoption replaces')
  const { credential } = rotation
  const store = stores.find((one) => one.name === name)?.store
  if (!store) throw new RekeyError('invalid_configuration', `the credential has no store named ${name}`)
  const kept = await findStaged(stores, generation, call)
  const read = await Promise.all(
    stores.map(async (one): Promise<Read> => ({ name: one.name, live: await one.store.readLive(call) })),
  )
  const strange = kept === undefined ? [] : read.filter(({ live }) => !live?.value.equals(kept))
  if (strange.length > 0) throw changed(strange.map((one) => one.name))
  const all = theSame(read)
  if (kept === undefined) await accepted(all, authority, call)
  const here = all.find((one) => one.name === name)
  if (!here) throw changed([name])
  const { value } = here.live
  // Of all stores: an emergency may want to replace the value before each of them has it staged.
  await replaces(Object.fromEntries(all.map((one) => [one.name, one.live.storeVersion])))
  const keyId = keyIds[generation] ?? `${credential}.g${generation}`
  const staged = await store.stage({ generation, keyId, value }, call)
  if (!staged.value.equals(value)) throw changed([name])
  const proofKey = proofPublicKey(value, credential, generation)
  return { kind: 'stage', storeVersion: staged.storeVersion, keyId: staged.keyId, proofKey }
}

/**
 * Readers get from the staged copy what they had. Where somebody wrote meanwhile, it is replaced only if it is the same value
 * again.
 */
export async function promoteLive(
  { shown }: Pick<Leased, 'shown'>,
  { generation, store: name, over }: Promote,
  store: Store,
  call: Call,
): Promise<EffectResult> {
  try {
    return { kind: 'promote', storeVersion: await store.promote(generation, shown[name], call, over) }
  } catch (error) {
    if (!RekeyError.is(error) || error.code !== 'foreign_writer') throw error
    const [staged, live] = await Promise.all([
      store.read(generation, call),
      store.readLive(call).catch((other) => {
        if (RekeyError.is(other) && other.retryable) throw other
        return undefined
      }),
    ])
    if (!staged || !live?.value.equals(staged.value)) throw error
    return { kind: 'promote', storeVersion: await store.promote(generation, live.storeVersion, call, over) }
  }
}

/** The same in every store; else it is said which of them lack it, or differ. */
function theSame(read: Read[]): Live[] {
  const all = read.flatMap(({ name, live }) => (live ? [{ name, live }] : []))
  const lacking = read.filter(({ live }) => !live).map(({ name }) => name)
  if (lacking.length > 0)
    throw new RekeyError(
      'not_adoptable',
      `${named(lacking)} nothing for readers to get: write the value in use there, too`,
    )
  const [first] = all
  const differs = all.filter(({ live }) => first && !live.value.equals(first.live.value))
  if (first && differs.length > 0)
    throw new RekeyError(
      'not_adoptable',
      `${[first, ...differs].map(({ name }) => name).join(' and ')} hold different values: write the one in use into each of them`,
    )
  return all
}

/**
 * With the wrong value in all stores, nodes would be told to accept that alone, and cut off who uses the right one: so it must
 * work everywhere now.
 */
async function accepted([first]: Live[], authority: Hands['authority'], call: Call): Promise<void> {
  if (!first) return
  const { value } = first.live
  if (!authority.adopt)
    throw new RekeyError('not_adoptable', `a value of ${authority.kind} that exists cannot be taken over`)
  authority.adopt(value)
  const answers = await authority.probe(value, call)
  const refused = answers.filter(({ verdict }) => verdict === 'refused').map(({ endpoint }) => endpoint)
  if (refused.length > 0)
    throw new RekeyError(
      'not_adoptable',
      `the value that the stores hold is refused at ${refused.join(', ')}, so it is not the one in use`,
    )
  const silent = answers.find(({ verdict }) => verdict !== 'accepted')
  if (silent)
    throw new RekeyError(
      'backend_unavailable',
      `whether ${silent.endpoint} accepts the value that the stores hold is not known (${silent.seen})`,
    )
}

async function findStaged(stores: Hands['stores'], generation: number, call: Call) {
  for (const { store } of stores) {
    const found = await store.read(generation, call)
    if (found) return found.value
  }
  return undefined
}

function changed(names: string[]): RekeyError {
  return new RekeyError(
    'foreign_writer',
    `what readers of ${names.join(' and ')} get is not what is staged to be adopted: somebody wrote meanwhile`,
  )
}

function named(names: string[]): string {
  return names.length === 1 ? `${names[0]} has` : `${names.join(' and ')} have`
}
