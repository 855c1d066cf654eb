import { LANES, type Lane, migrate, openLedger } from '@rekey/ledger'
import { connectQueues } from '@rekey/queues'
import { Bell, createLogger, onShutdown, pause, readConfig, retrying, serveHealth } from '@rekey/runtime'
import { Environment } from './environment.ts'
import { notifier } from './notify.ts'
import { relay, resendAfter } from './relay.ts'

const env = readConfig(Environment)
const logger = createLogger({ service: 'conductor' })
// One process brings the schema up to date, so that nobody has to do it by hand.
const migrations = await migrate(env.DATABASE_URL)
if (migrations.length > 0) logger.info({ migrations }, 'the ledger was brought up to date')
const ledger = openLedger({ url: env.DATABASE_URL, name: 'rekey-conductor' })
const queues = connectQueues(env.REDIS_URL, logger)
const ending = new AbortController()
/** When silent nodes are looked for again. */
let nextLook = 0
/** When ages are looked at again. */
let nextAges = 0
/** News of an emergency come with each of its steps: until then routine wake-ups stand back. */
const STAND_BACK_MS = 500
/** Never for longer than this at a time, so that they go on beside a long one. */
const STAND_BACK_MOST_MS = 2_000
let calmAt = 0
const work = { emergency: new Bell(), routine: new Bell() }
const timers = { emergency: new Bell(), routine: new Bell() }

const listener = ledger.onEffects((lane) => {
  if (lane === 'emergency') calmAt = performance.now() + STAND_BACK_MS
  work[lane].ring()
  timers[lane].ring()
})
queues.onReady(() => {
  for (const lane of LANES) work[lane].ring()
})
const health = await serveHealth({ port: env.HEALTH_PORT, checks: [{ name: 'ledger', run: ledger.ping }] })

const notices = notifier({ ledger, logger, secretsDir: env.REKEY_NOTIFY_SECRETS_DIR })
// Loops of their own for wake-ups and timers, so that Redis being away delays wake-ups only, never a deadline; and for
// emergencies, so that no page of routine work is before them.
const lanes = LANES.flatMap((lane) => {
  let resendMs = env.REKEY_RESEND_MS
  return [
    loop(
      `relay (${lane})`,
      work[lane],
      async () => {
        if (lane === 'routine') {
          await standBack()
          resendMs = await resendAfter(queues, env.REKEY_RESEND_MS)
        }
        return relay({ ledger, queues, logger, resendMs, lane })
      },
      // Without Redis nothing is sent; its return rings.
      async () => (queues.isReady() ? ledger.nextWorkMs(resendMs, lane) : undefined),
    ),
    loop(
      `timers (${lane})`,
      timers[lane],
      () => fireTimers(lane),
      () => ledger.nextTimerMs(lane),
    ),
  ]
})
const loops = [
  ...lanes,
  // Nobody rings: a second more or less is nothing to people.
  loop('ages', new Bell(), rotateAged, async () => nextAges - performance.now()),
  loop('notify', new Bell(), async () => Number(await notices.round()), ledger.nextNotificationMs),
]
logger.info({ healthPort: health.port }, 'conductor started')

onShutdown(logger, async () => {
  ending.abort()
  await Promise.all(loops)
  await notices.idle()
  await Promise.all([listener.close(), health.close(), queues.close()])
  await ledger.close()
})

/** An emergency needs this process, Redis and the database for itself for a moment. */
async function standBack(): Promise<void> {
  const most = performance.now() + STAND_BACK_MOST_MS
  while (!ending.signal.aborted) {
    const leftMs = Math.min(calmAt, most) - performance.now()
    if (leftMs <= 0) return
    await pause(leftMs, ending.signal)
  }
}

async function fireTimers(lane: Lane): Promise<number> {
  if (lane === 'routine' && performance.now() > nextLook) {
    nextLook = performance.now() + env.REKEY_POLL_MS
    await ledger.loseSilent(env.REKEY_LOST_MS)
  }
  return ledger.fireTimers('conductor', {
    lane,
    onFault: (timer, error) => logger.error({ timer, error }, 'a timer could not be fired'),
  })
}

async function rotateAged(): Promise<number> {
  if (performance.now() < nextAges) return 0
  const opened = await ledger.rotateAged('conductor', (credential, error) =>
    logger.error({ credential, error }, 'a value is older than it may be, and cannot be rotated'),
  )
  nextAges = performance.now() + env.REKEY_AGES_MS
  return opened
}

/** Works until nothing is left, then sleeps until something is due or announced. */
function loop(
  what: string,
  bell: Bell,
  once: () => Promise<number>,
  nextMs: () => Promise<number | undefined>,
): Promise<void> {
  return retrying(logger, what, ending.signal, async () => {
    while ((await once()) > 0 && !ending.signal.aborted);
    const dueMs = (await nextMs()) ?? env.REKEY_POLL_MS
    await bell.wait(Math.min(Math.max(dueMs, 10), env.REKEY_POLL_MS), ending.signal)
  })
}
