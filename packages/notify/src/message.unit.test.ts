import { TargetSpec } from '@rekey/contracts'
import { expect, test } from 'vitest'
import { messageFor } from './message.ts'
import type { Notice } from './notice.ts'

const notice: Notice = {
  about: 'key-g2/emergency',
  severity: 'critical',
  resolves: false,
  summary: 'generation 1 of key leaked (<!channel> & co)',
  rotation: 'key-g2',
  credential: 'key',
  workload: 'chat',
  environment: 'prod',
  owner: 'team-ai',
  actor: 'operator/ana',
  at: '2026-11-22T03:00:00.000Z',
  position: 9,
}
const target = (spec: object) => TargetSpec.parse({ name: 'on-call', ...spec })

test('a webhook gets the notice as it is, under an id that a repeat has too', () => {
  const url = 'https://example.org/hook'
  expect(messageFor(target({ kind: 'webhook', url }), notice, undefined)).toEqual({
    url,
    headers: { 'idempotency-key': '9' },
    body: { type: 'dev.rekey.notice', ...notice },
  })
})

test('a webhook may have its address in a file', () => {
  const spec = target({ kind: 'webhook', secretFile: 'hook' })
  expect(messageFor(spec, notice, 'https://example.org/secret').url).toBe('https://example.org/secret')
})

test('Slack gets one line that mentions nobody', () => {
  const { url, body } = messageFor(target({ kind: 'slack', secretFile: 'slack' }), notice, 'https://hooks/x')
  expect(url).toBe('https://hooks/x')
  expect(body).toEqual({
    text: ':rotating_light: generation 1 of key leaked (&lt;!channel&gt; &amp; co)',
  })
})

test('PagerDuty gets a trigger, and a resolve of the same incident', () => {
  const spec = target({ kind: 'pagerduty', secretFile: 'pd' })
  const trigger = messageFor(spec, notice, 'routing-key')
  expect(trigger.url).toBe('https://events.pagerduty.com/v2/enqueue')
  expect(trigger.body).toMatchObject({
    routing_key: 'routing-key',
    event_action: 'trigger',
    dedup_key: 'rekey/key-g2/emergency',
    payload: { severity: 'critical', source: 'key-g2', summary: notice.summary },
  })
  expect(messageFor(spec, { ...notice, resolves: true }, 'routing-key').body).toMatchObject({
    event_action: 'resolve',
    dedup_key: 'rekey/key-g2/emergency',
  })
})

test.each(['http://example.org/hook', 'ftp://example.org/', 'hook'])(
  '%s is no address for a notice',
  (url) => {
    expect(TargetSpec.safeParse({ name: 'x', kind: 'webhook', url }).success).toBe(false)
  },
)
