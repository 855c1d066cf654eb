/** What is no point of a journey, because it happens all the time, with a rotation or without one. */
const LEFT_OUT: { label: RegExp; because: string }[] = [
  { label: /^pg heard$/, because: "the fleet's heartbeat: it says that a node lives, every few seconds" },
  { label: /^pg lose silent$/, because: 'a look for silent nodes before each look for timers' },
  { label: /^pg renew$/, because: 'the renewal of a lease, by its age' },
  {
    label: /^pg (insert into|update) drift_look$/,
    because: 'a look at stores between rotations, by the clock',
  },
  { label: /AuditHeartbeat/, because: "the auditor's sign of life" },
  {
    label: /^haproxy show /,
    because: 'a read for counters, or for whether the gateway holds its keys, every second',
  },
  { label: /auth\/token\//, because: "a token's renewal, by its age" },
]

/** Said again and again while a rotation waits, and each time the same: only the first one is a point. */
const ONCE_ONLY: RegExp[] = [/^pg usage$/, /^channel usage$/, /^pg commit fire timer\.[a-z-]+$/]

export function isLeftOut(label: string): boolean {
  return LEFT_OUT.some((rule) => rule.label.test(label))
}

export function isOnceOnly(label: string): boolean {
  return ONCE_ONLY.some((rule) => rule.test(label))
}
