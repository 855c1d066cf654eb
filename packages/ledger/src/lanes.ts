/** An emergency is a rotation in mode `expedite` or `contain`; all that is done for it is of its lane. */
export type Lane = 'emergency' | 'routine'

/** In the order in which they are served. */
export const LANES = ['emergency', 'routine'] as const satisfies Lane[]

/** Both, emergencies first, where none is asked for. */
export const lanesOf = (lane: Lane | undefined): readonly Lane[] => (lane === undefined ? LANES : [lane])

const EMERGENCIES = 'select id from rotation where emergency and closed_at is null'

/**
 * That an effect `e` is still to be done, and of a lane. Emergencies are few, and their effects are found by their
 * rotations: the state is wrapped, so that no index on what is due offers itself, which would be read to its end.
 */
export const PENDING: Readonly<Record<Lane, string>> = {
  emergency: `e.state || '' = 'pending' and e.rotation = any (array(${EMERGENCIES}))`,
  routine: `e.state = 'pending' and e.rotation not in (${EMERGENCIES})`,
}

/** The same for one lane, or for both at once. */
export const pendingOf = (lane: Lane | undefined) =>
  lane === undefined ? "e.state = 'pending'" : PENDING[lane]
