import type { Hold } from '@rekey/core'

/** `wave deadline: no answer from n2`. A human's hold says by itself whose it is. */
export function holdWords({ reason, detail }: Pick<Hold, 'reason' | 'detail'>): string {
  return reason === 'human' ? detail : `${reason.replaceAll('_', ' ')}: ${detail}`
}
