import { describe, followRotation } from '@rekey/cli'
import type { Clients, Readers } from '@rekey/platform'
import type { Bus } from './bus.ts'
import type { Display } from './display.ts'
import { CLIENTS, CREDENTIAL, knock, STREAMS, type Stage, startLoad } from './stage.ts'
import { until } from './until.ts'
import type { Evidence } from './verdict.ts'

const REPEATS = 1_000
const ROTATION_MS = 90_000

/** One zone change, from the event to the dead key, with the rotator killed midway; or until it is interrupted. */
export async function play(
  stage: Stage,
  bus: Bus,
  readers: Readers,
  display: Display,
  interrupted: AbortSignal,
): Promise<Evidence> {
  interrupted.throwIfAborted()
  const first = `${CREDENTIAL}-g1`
  display.title('The first value')
  await follow(stage, first, display)
  await until('every gateway proves the first value', async () => {
    const { nodes } = await stage.control.rotation(first)
    return nodes.length === stage.gateways.length && nodes.every((n) => n.proved.includes(1))
  })
  display.say('every gateway has proved it')

  interrupted.throwIfAborted()
  display.title(`${CLIENTS} keep-alive clients and ${STREAMS} streams, reading their key from both stores`)
  const clients = startLoad(stage, readers, 40)
  // At once, before the gateways go; what is still under way need not end.
  interrupted.addEventListener('abort', () => void clients.stop())
  try {
    return await rotateUnderLoad(stage, bus, readers, display, clients, interrupted)
  } finally {
    await clients.stop()
  }
}

async function rotateUnderLoad(
  stage: Stage,
  bus: Bus,
  readers: Readers,
  display: Display,
  clients: Clients,
  interrupted: AbortSignal,
): Promise<Evidence> {
  const old = (await readers.vault())?.value
  if (!old) throw new Error('the first value is in no store')
  await until('the clients are under way', () => clients.tally.ok > 500)
  const before = await knock(stage, old)
  display.counters(clients.tally)

  display.title('A zone-changed event arrives over Kafka')
  const event = await bus.sendZoneChange(1)
  await until('the event has its verdict', () => (bus.verdicts(event)['rotation-opened'] ?? 0) > 0)
  display.say('verdict: rotation-opened')
  await bus.sendZoneChange(REPEATS)
  display.say(`the same event was sent ${REPEATS.toLocaleString('en')} more times`)

  const ticker = setInterval(() => display.counters(clients.tally), 2_000)
  interrupted.addEventListener('abort', () => clearInterval(ticker))
  let killed = false
  const rotation = `${CREDENTIAL}-g2`
  await follow(stage, rotation, display, (type) => {
    // Between the two stores: one shows the new value already, the other still the old one.
    if (type !== 'StorePromoted' || killed) return
    killed = true
    display.say('>>>      SIGKILL to the rotator, between the two stores')
    void stage.platform.services.rotator.kill()
  }).finally(() => clearInterval(ticker))

  await until(`all ${REPEATS + 1} events have a verdict`, () => total(bus.verdicts(event)) > REPEATS)
  const after = await knock(stage, old)
  const tally = await clients.stop()
  display.counters(tally)
  const [vault, aws] = await Promise.all([readers.vault(), readers.aws()])
  display.say('checking the audit records')
  await until('the audit topic has the end', () =>
    bus.audit().some((r) => r.includes('"RotationClosed"') && r.includes(rotation)),
  )
  return {
    tally,
    generations: { vault: vault?.generation ?? null, aws: aws?.generation ?? null },
    old: { before, after },
    verdicts: bus.verdicts(event),
    rotations: (await stage.control.rotations({ credential: CREDENTIAL })).filter((r) => r.base !== null),
    probes: await probesOf(stage, rotation),
    rotatorRestarts: stage.platform.services.rotator.restarts,
    audit: bus.audit(),
  }
}

async function follow(
  stage: Stage,
  rotation: string,
  display: Display,
  heard?: (type: string) => void,
): Promise<void> {
  const { end, detail } = await followRotation(stage.control, rotation, {
    signal: AbortSignal.timeout(ROTATION_MS),
    onEntry(entry) {
      display.say(describe(entry))
      heard?.(entry.type)
    },
  })
  if (end !== 'closed')
    throw new Error(`${rotation} ended as ${end} ${detail}; the logs are in ${stage.platform.logsDir}`)
}

/** The verdicts of Rekey's own prober on the old value, from the journal. */
async function probesOf(stage: Stage, rotation: string): Promise<string[]> {
  const journal = await stage.control.journal(rotation)
  const last = journal.findLast((entry) => entry.type === 'RefusalProbed')
  const results = (last?.data.results ?? []) as { verdict: string }[]
  return results.map((r) => r.verdict)
}

function total(counts: Record<string, number>): number {
  return Object.values(counts).reduce((sum, n) => sum + n, 0)
}
