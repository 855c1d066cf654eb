/**
 * The rotator's own code: what the simulation is about is what a worker really does. The one place outside of a service
 * that reaches into it; `test/tidy` names it.
 */
export type { Hands } from '../../services/rotator/src/act.ts'
export type { Leases, Taken } from '../../services/rotator/src/leases.ts'
export { type WorkOptions, work } from '../../services/rotator/src/work.ts'
