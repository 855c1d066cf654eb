/**
 * The real agent and the real software at which its own tests work, with the fleet and Vault played: the adapters are measured as
 * they are tested. One of the few places that reach into a service; `test/tidy` names them.
 */
// @boundaries-ignore what the agent's own tests work at, see above
export { SERVER_NAME, startEnvoy } from '../../../services/agent/test/envoy.ts'
// @boundaries-ignore what the agent's own tests work at, see above
export type { Gateway } from '../../../services/agent/test/gateway.ts'
// @boundaries-ignore what the agent's own tests work at, see above
export { startHaproxy } from '../../../services/agent/test/haproxy.ts'
// @boundaries-ignore what the agent's own tests work at, see above
export { startNginx } from '../../../services/agent/test/nginx.ts'
// @boundaries-ignore what the agent's own tests work at, see above
export { startReloadedNginx } from '../../../services/agent/test/nginx-reload.ts'
// @boundaries-ignore what the agent's own tests work at, see above
export { sampleValue, startNodeAt } from '../../../services/agent/test/node-bench.ts'
// @boundaries-ignore what the agent's own tests work at, see above
export { startPgbouncer } from '../../../services/agent/test/pgbouncer.ts'
// @boundaries-ignore what the agent's own tests work at, see above
export { until } from '../../../services/agent/test/until.ts'
