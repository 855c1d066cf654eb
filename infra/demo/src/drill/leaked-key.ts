import { describe, followRotation } from '@rekey/cli'
import type { ReadValue, Secret } from '@rekey/contracts'
import type { Owned } from '@rekey/ledger'
import type { Clients, Readers, Tally } from '@rekey/platform'
import type { Display } from '../display.ts'
import { CREDENTIAL, knock, type Stage, startLoad } from '../stage.ts'
import { until } from '../until.ts'
import { rekey } from './command-line.ts'
import type { OnCall, Told } from './on-call.ts'

export const CASE_NAMES = ['routine', 'half-way', 'servers-down'] as const
export type CaseName = (typeof CASE_NAMES)[number]

/** What was seen from outside in one case. */
export type Seen = {
  who: { ms: number; found: Owned[] }
  /** Everything that the command line and control said, to look for the key in. */
  said: string
  leaked: Secret
  expedite: { exit: number; ms: number }
  /** What each gateway answers to the leaked key, before and after, and to the one that followed. */
  knocks: { before: number[]; after: number[]; next: number[] }
  tally: Tally
  generation: number
  /** What the owner was told of the rotation. */
  told: Told[]
  /** The knocks that `rekey who` knows of when the dead key was tried, and what the owner was told of them. */
  noticed: { knocks: Owned['knocks']; told: Told | undefined }
}

export type Scene = { stage: Stage; readers: Readers; display: Display; onCall: OnCall }

const ROTATION_MS = 90_000

export async function leakedKey(name: CaseName, scene: Scene): Promise<Seen> {
  const { stage, readers, display } = scene
  display.title(`Leaked key: ${name}`)
  await until('no rotation is under way', async () => {
    const { openRotation, currentGeneration } = await stage.control.credential(CREDENTIAL)
    return openRotation === null && currentGeneration !== null
  })
  const { value: leaked, generation } = await inUse(readers)
  // A value that came a moment ago has its fingerprint a moment later.
  await until('the key has a fingerprint', async () => {
    const { found } = await ask(stage, leaked)
    return found.some((f) => f.by === 'fingerprint')
  })
  const clients = startLoad(stage, readers, 20)
  try {
    await until('the clients are under way', () => clients.tally.ok > 300)
    const before = await knock(stage, leaked)
    await prepare(name, stage, display)
    return {
      ...(await act(scene, clients, { leaked, generation, before })),
      leaked,
      generation,
    }
  } finally {
    await clients.stop()
    if (name === 'servers-down') {
      display.say('starting Kafka and Redis again')
      await Promise.all([stage.stack.servers.kafka.start(), stage.stack.servers.redis.start()])
    }
  }
}

async function prepare(name: CaseName, stage: Stage, display: Display): Promise<void> {
  if (name === 'half-way') {
    const { rotation } = await stage.control.rotate(CREDENTIAL, 'routine')
    for await (const watched of stage.control.watch(rotation)) {
      if (watched.type === 'end') throw new Error(`${rotation} ended before it was half-way`)
      display.say(describe(watched.entry))
      if (watched.entry.type !== 'StorePromoted') continue
      // So that it is still half-way when the order comes, however fast it goes; an emergency asks for no hold.
      await stage.control.hold(rotation, 'somebody looks at it')
      return
    }
  }
  if (name === 'servers-down') {
    display.say('stopping Kafka and Redis')
    await Promise.all([stage.stack.servers.kafka.stop(), stage.stack.servers.redis.stop()])
  }
}

async function act(
  { stage, readers, display, onCall }: Scene,
  clients: Clients,
  { leaked, generation, before }: { leaked: Secret; generation: number; before: number[] },
): Promise<Omit<Seen, 'leaked' | 'generation'>> {
  display.say('$ rekey who   (the key on stdin)')
  const who = await ask(stage, leaked)
  display.say(
    `${who.ms} ms: ${who.found.map((f) => `${f.credential} generation ${f.generation}`).join(', ')}`,
  )
  const order = ['expedite', CREDENTIAL, '--generation', String(generation), '--reason', 'drill: leaked']
  display.say(`$ rekey ${order.slice(0, -1).join(' ')} "${order.at(-1)}"`)
  const startedAt = performance.now()
  const ordered = await rekey(stage, [...order, '--json'])
  if (ordered.exit !== 0) throw new Error(`rekey expedite: ${ordered.err}`)
  const { rotation }: { rotation: string } = JSON.parse(ordered.out)
  const { end } = await followRotation(stage.control, rotation, {
    signal: AbortSignal.timeout(ROTATION_MS),
    onEntry: (entry) => display.say(describe(entry)),
  })
  const ms = Math.round(performance.now() - startedAt)
  const [after, next] = [await knock(stage, leaked), await knock(stage, (await inUse(readers)).value)]
  const tally = await clients.stop()
  display.counters(tally)
  const told = () => onCall.told.filter((notice) => notice.rotation === rotation && !isKnock(notice))
  await until('the owner is told of the end', () => told().some((notice) => isEnd(notice, rotation)))
  for (const { severity, summary } of told()) display.say(`the owner is told (${severity}): ${summary}`)
  return {
    who,
    said: who.said + ordered.out + ordered.err,
    expedite: { exit: end === 'closed' ? 0 : 1, ms },
    knocks: { before, after, next },
    tally,
    told: told(),
    noticed: await noticed(stage, onCall, { leaked, rotation }),
  }
}

/** Gateways look out for a key a moment after its death; whoever has it tries again. */
async function noticed(
  stage: Stage,
  onCall: OnCall,
  { leaked, rotation }: { leaked: Secret; rotation: string },
): Promise<Seen['noticed']> {
  const isTold = (notice: Told) => notice.rotation === rotation && isKnock(notice)
  let knocks: Owned['knocks'] = null
  await until('the dead key is noticed at each gateway', async () => {
    await knock(stage, leaked)
    knocks = (await ask(stage, leaked)).found[0]?.knocks ?? null
    return new Set(knocks?.from.flatMap((k) => k.nodes)).size === 3
  })
  await until('the owner is told of it', () => onCall.told.some(isTold))
  return { knocks, told: onCall.told.find(isTold) }
}

function isKnock({ about }: Told): boolean {
  return about.startsWith(`${CREDENTIAL}/knock/`)
}

function isEnd({ about, resolves }: Told, rotation: string): boolean {
  return resolves && about === `${rotation}/emergency`
}

/** The command line as somebody would use it, with the key on stdin. */
async function ask(stage: Stage, key: Secret): Promise<{ ms: number; found: Owned[]; said: string }> {
  const startedAt = performance.now()
  const { out, err } = await rekey(stage, ['who', '--json'], `Bearer ${key.reveal()}\n`)
  const ms = Math.round(performance.now() - startedAt)
  if (err !== '') throw new Error(err)
  return { ms, found: JSON.parse(out).found, said: out }
}

async function inUse(readers: Readers): Promise<ReadValue> {
  const shown = await readers.vault()
  if (!shown) throw new Error('readers of Vault find nothing')
  return shown
}
