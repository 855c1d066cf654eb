/**
 * The rotator's own code: what the simulation is about is what a worker really does. The one place outside of a service
 * that reaches into it; `test/tidy` names it.
 */
// @boundaries-ignore the worker's own code, see above
export type { Hands } from '../../services/rotator/src/act.ts'
// @boundaries-ignore the worker's own code, see above
export type { Leases, Taken } from '../../services/rotator/src/leases.ts'
// @boundaries-ignore the worker's own code, see above
export { type WorkOptions, work } from '../../services/rotator/src/work.ts'
