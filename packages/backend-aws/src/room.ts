import { RekeyError } from '@rekey/contracts'
import type { VersionMark } from './client.ts'

/** Quotas of one secret (https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html). */
const VERSIONS_MAX = 100
const LABELS_MAX = 20
const DAY_MS = 86_400_000
/** What a routine rotation leaves, so that an emergency, a rollback and a withdrawal still go through. */
const VERSIONS_SPARE = 10
const LABELS_SPARE = 2

/** Says before AWS does that a secret takes no version more, and when it will again. `where` names it. */
export function checkRoom(
  where: string,
  versions: readonly VersionMark[],
  isUrgent = false,
  now: number = Date.now(),
): void {
  const labels = new Set(versions.flatMap((version) => version.labels))
  // A staging brings the generation's own label, and AWSPENDING where nothing has it.
  const after = labels.size + (labels.has('AWSPENDING') ? 1 : 2)
  if (after > LABELS_MAX - (isUrgent ? 0 : LABELS_SPARE))
    throw new RekeyError(
      'quota_exhausted',
      `${where} has ${labels.size} labels, and AWS allows ${LABELS_MAX}: each generation that is not destroyed has one; see what keeps the old ones alive`,
    )
  // AWS makes room by removing those without a label, but none that is younger than a day.
  const kept = versions.filter((version) => version.labels.length > 0 || version.createdAt > now - DAY_MS)
  const max = VERSIONS_MAX - (isUrgent ? 0 : VERSIONS_SPARE)
  if (kept.length < max) return
  const young = kept.filter((version) => version.labels.length === 0).map((version) => version.createdAt)
  const next = young.sort((a, b) => a - b)[kept.length - max]
  const room = next === undefined ? '' : `; there is room again at ${new Date(next + DAY_MS).toISOString()}`
  throw new RekeyError(
    'quota_exhausted',
    `${where} has ${kept.length} versions that AWS does not remove yet, because they have a label or are younger than a day, and 100 are the most` +
      `${isUrgent ? '' : `, of which the last ${VERSIONS_SPARE} are kept for emergencies`}${room}`,
  )
}
