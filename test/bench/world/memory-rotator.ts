import { registerHooks } from 'node:module'

/**
 * Preloaded into the real rotator: whoever imports Vault's or AWS's package gets stores in memory. Its work, acts,
 * leases and queue are as shipped.
 */
const BACKENDS = new Set(['@rekey/backend-vault', '@rekey/backend-aws'])
const memory = new URL('./memory-backends.ts', import.meta.url).href

registerHooks({
  resolve: (specifier, context, next) =>
    BACKENDS.has(specifier) ? { url: memory, shortCircuit: true } : next(specifier, context),
})
