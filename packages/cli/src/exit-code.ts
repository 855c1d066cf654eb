/** What a pipeline can tell from the exit code alone. */
export const EXIT = {
  closed: 0,
  failed: 1,
  differences: 2,
  denied: 3,
  noRotation: 10,
  rolledBack: 20,
  held: 30,
  timeout: 40,
} as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** In help texts, in this order. */
export const MEANING: Record<ExitCode, string> = {
  0: 'done; of a rotation: closed, and the old value, if there was one, is proved dead',
  1: 'error',
  2: 'there are differences',
  3: 'denied: the policies of control do not let you',
  10: 'no rotation (the output says why)',
  20: 'rolled back or called off',
  30: 'held: a human must look, or another person has to agree',
  40: 'the wait timed out; the rotation goes on',
}

const BY_URGENCY: readonly ExitCode[] = [1, 3, 30, 40, 20, 10, 2, 0]

/** Of several rotations: the one that a human should see first. */
export function worst(codes: ExitCode[]): ExitCode {
  return BY_URGENCY.find((code) => codes.includes(code)) ?? EXIT.closed
}
