import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TargetSpec, TargetUrl } from '@rekey/contracts'
import type { Claimed, Ledger } from '@rekey/ledger'
import { messageFor, NOTICED_TYPES, type Notice, noticeOf } from '@rekey/notify'
import type { Logger } from '@rekey/runtime'

export type NotifyOptions = {
  ledger: Pick<Ledger, 'raiseNotifications' | 'claimNotifications' | 'recordSent' | 'recordNotSent'>
  logger: Pick<Logger, 'info' | 'warn'>
  /** Holds one file for each secret that a target names. */
  secretsDir?: string | undefined
}

/** Far below the time that a claim holds, so that nobody else sends the same meanwhile. */
const SEND_MS = 10_000
/** As many are under way at once. */
const AT_ONCE = 20

export type Notifier = {
  /** Starts to tell what is due; returns whether there may be more. A target that hangs keeps no other one waiting. */
  round(): Promise<boolean>
  /** Resolves when nothing is under way. */
  idle(): Promise<void>
}

/**
 * Tells owners what became of their rotations. At least once: who dies between the target's answer and our record of it
 * is followed by somebody who sends the same again, under the same id.
 */
export function notifier(options: NotifyOptions): Notifier {
  const { ledger, logger } = options
  const underWay = new Set<Promise<void>>()
  return {
    async round() {
      while (await ledger.raiseNotifications(NOTICED_TYPES, noticeOf));
      const free = AT_ONCE - underWay.size
      if (free === 0) return false
      const claimed = await ledger.claimNotifications<Notice>(free)
      for (const notification of claimed) {
        const telling: Promise<void> = tell(notification, options)
          // Its claim ends, and it is sent again.
          .catch((error: unknown) =>
            logger.warn({ error }, 'what became of a notification could not be recorded'),
          )
          .finally(() => underWay.delete(telling))
        underWay.add(telling)
      }
      return claimed.length === free
    },
    async idle() {
      await Promise.all(underWay)
    },
  }
}

async function tell(claimed: Claimed<Notice>, { ledger, logger, secretsDir }: NotifyOptions): Promise<void> {
  const { owner, targetName, rotation, attempt } = claimed
  const failure = await send(claimed, secretsDir)
  if (failure === undefined) {
    await ledger.recordSent(claimed)
    logger.info({ owner, target: targetName, rotation, attempt }, 'the owner was told')
    return
  }
  await ledger.recordNotSent(claimed, failure, 'conductor')
  logger.warn(
    { owner, target: targetName, rotation, attempt, reason: failure.error },
    'the owner was not told',
  )
}

type Failure = { error: string; isFinal: boolean; afterMs?: number }

/** Undefined: the target took it. Errors name neither the address nor what was sent: either may be a secret. */
async function send(
  { target, notice }: Claimed<Notice>,
  dir: string | undefined,
): Promise<Failure | undefined> {
  if (!target) return { error: 'the target was taken out of the configuration', isFinal: true }
  const secret = await secretOf(target, dir)
  if (typeof secret === 'object') return secret
  const { url, headers, body } = messageFor(target, notice, secret)
  if (!TargetUrl.safeParse(url).success)
    return { error: `the file ${target.secretFile} holds no URL that notices may go to`, isFinal: false }
  try {
    const response = await fetch(url, {
      method: 'POST',
      // A notice must not follow a redirection to somewhere else.
      redirect: 'manual',
      headers: { ...headers, 'content-type': 'application/json', 'user-agent': 'rekey' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(SEND_MS),
    })
    await response.body?.cancel()
    if (response.ok) return undefined
    const after = Number(response.headers.get('retry-after'))
    return {
      error: `it answered ${response.status}`,
      isFinal: false,
      ...(after > 0 && after <= 3_600 && { afterMs: after * 1_000 }),
    }
  } catch (error) {
    return { error: wordsFor(error), isFinal: false }
  }
}

async function secretOf(target: TargetSpec, dir: string | undefined): Promise<string | undefined | Failure> {
  const { secretFile } = target
  if (secretFile === undefined) return undefined
  if (dir === undefined) return { error: 'the conductor has no REKEY_NOTIFY_SECRETS_DIR', isFinal: false }
  try {
    // Read each time, so that it may be rotated.
    return (await readFile(join(dir, secretFile), 'utf8')).trim()
  } catch {
    return { error: `the conductor cannot read its secret file ${secretFile}`, isFinal: false }
  }
}

/** fetch hides why it failed one level down, and says the address in its own words. */
function wordsFor(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError') return `no answer in ${SEND_MS / 1_000} s`
  const cause = error instanceof Error ? error.cause : undefined
  const code =
    typeof cause === 'object' && cause !== null && 'code' in cause ? ` (${String(cause.code)})` : ''
  return `it cannot be reached${code}`
}
