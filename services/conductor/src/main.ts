import { migrate, openLedger } from '@rekey/ledger'
import { connectQueues } from '@rekey/queues'
import { Bell, createLogger, onShutdown, readConfig, retrying, serveHealth } from '@rekey/runtime'
import { Environment } from './environment.ts'
import { notifier } from './notify.ts'
import { relay } from './relay.ts'

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
const work = new Bell()
const timers = new Bell()

const listener = ledger.onEffects(() => {
  work.ring()
  timers.ring()
})
queues.onReady(() => work.ring())
const health = await serveHealth({ port: env.HEALTH_PORT, checks: [{ name: 'ledger', run: ledger.ping }] })

const notices = notifier({ ledger, logger, secretsDir: env.REKEY_NOTIFY_SECRETS_DIR })
// Loops of their own, so that Redis being away delays wake-ups only, and a target that hangs only other notices.
const loops = [
  loop(
    'relay',
    work,
    () => relay({ ledger, queues, logger, resendMs: env.REKEY_RESEND_MS }),
    // Without Redis nothing is sent; its return rings.
    async () => (queues.isReady() ? ledger.nextWorkMs(env.REKEY_RESEND_MS) : undefined),
  ),
  loop('timers', timers, fireTimers, ledger.nextTimerMs),
  // Nobody rings: a second more or less is nothing to people.
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

async function fireTimers(): Promise<number> {
  if (performance.now() > nextLook) {
    nextLook = performance.now() + env.REKEY_POLL_MS
    await ledger.loseSilent(env.REKEY_LOST_MS)
  }
  return ledger.fireTimers('conductor', (timer, error) =>
    logger.error({ timer, error }, 'a timer could not be fired'),
  )
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
