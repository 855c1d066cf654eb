import type { TargetSpec } from '@rekey/contracts'
import type { Notice } from './notice.ts'

/** What is posted to a target, as JSON. `id` is the same whenever the same notice is sent again. */
export type Message = { url: string; headers: Record<string, string>; body: object }

/** PagerDuty's own, for events of its API v2. */
const PAGERDUTY_URL = 'https://events.pagerduty.com/v2/enqueue'
/** Slack cuts longer texts, PagerDuty refuses longer summaries. */
const SUMMARY_MAX = 1_000

/** `secret`: what the target's file holds; without a file, undefined. */
export function messageFor(target: TargetSpec, notice: Notice, secret: string | undefined): Message {
  const summary = notice.summary.slice(0, SUMMARY_MAX)
  switch (target.kind) {
    case 'webhook':
      return {
        url: target.url ?? secret ?? '',
        // The same notice has the same id, so that a receiver can tell a repeat.
        headers: { 'idempotency-key': `${notice.position}` },
        body: { type: 'dev.rekey.notice', ...notice, summary },
      }
    case 'slack':
      return {
        url: secret ?? '',
        headers: {},
        body: { text: `${SIGNS[notice.resolves ? 'resolved' : notice.severity]} ${escapeSlack(summary)}` },
      }
    case 'pagerduty':
      return {
        url: target.url ?? PAGERDUTY_URL,
        headers: {},
        body: {
          routing_key: secret ?? '',
          event_action: notice.resolves ? 'resolve' : 'trigger',
          dedup_key: `rekey/${notice.about}`.slice(0, 255),
          client: 'Rekey',
          payload: {
            summary,
            source: notice.rotation,
            severity: notice.severity,
            timestamp: notice.at,
            component: notice.credential,
            group: notice.workload,
            custom_details: notice,
          },
        },
      }
    default:
      return target satisfies never
  }
}

const SIGNS = {
  critical: ':rotating_light:',
  warning: ':warning:',
  info: ':information_source:',
  resolved: ':white_check_mark:',
}

/** As https://docs.slack.dev/messaging/formatting-message-text asks: nobody may be mentioned, and no link made. */
function escapeSlack(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
