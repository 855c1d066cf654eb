/**
 * The agent's own code: what a played node says and does is what a real one does. The one place of benchmarks and
 * tests of fleets that reaches into a service; `test/tidy` names it.
 */
// @boundaries-ignore the agent's own code, see above
export type { NodeAdapter } from '../../services/agent/src/adapters/node-adapter.ts'
// @boundaries-ignore the agent's own code, see above
export { enrol } from '../../services/agent/src/enrolment.ts'
// @boundaries-ignore the agent's own code, see above
export { FleetLink } from '../../services/agent/src/fleet-link.ts'
// @boundaries-ignore the agent's own code, see above
export { Graveyard } from '../../services/agent/src/graveyard.ts'
// @boundaries-ignore the agent's own code, see above
export type { Identity } from '../../services/agent/src/identity.ts'
// @boundaries-ignore the agent's own code, see above
export type { Journal, JournalEntry } from '../../services/agent/src/journal.ts'
// @boundaries-ignore the agent's own code, see above
export { CredentialKeeper } from '../../services/agent/src/keeper.ts'
// @boundaries-ignore the agent's own code, see above
export { vaultUnwrap } from '../../services/agent/src/unwrap.ts'
// @boundaries-ignore the agent's own code, see above
export { UsageReporter } from '../../services/agent/src/usage-reporter.ts'
// @boundaries-ignore the agent's own code, see above
export { vaultValues } from '../../services/agent/src/value-source.ts'
