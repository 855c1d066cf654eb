import type { Labels } from './client.ts'

export const PENDING = 'AWSPENDING'
export const CURRENT = 'AWSCURRENT'
export const PREVIOUS = 'AWSPREVIOUS'

/** The function was done with it, and no later run has overwritten it. */
export function isFinished(labels: readonly string[] | undefined): boolean {
  return labels !== undefined && (labels.includes(CURRENT) || labels.includes(PREVIOUS))
}

/** The version of a run that is not finished; beside AWSCURRENT the label means nothing. */
export function pendingIn(labels: Labels): string | undefined {
  const pending = versionWith(labels, PENDING)
  return pending !== undefined && labels.get(pending)?.includes(CURRENT) ? undefined : pending
}

export function versionWith(labels: Labels, label: string): string | undefined {
  for (const [versionId, held] of labels) if (held.includes(label)) return versionId
  return undefined
}
