/** Emergencies have queues and slots that routine work cannot fill. */
export type Lane = 'emergency' | 'routine'

export const LANES = ['emergency', 'routine'] as const satisfies Lane[]

/** The name in front, because behind it an instance of `fleet` could be called the same. */
export function queueOf(worker: string, lane: Lane): string {
  return lane === 'emergency' ? `emergency-${worker}` : worker
}
