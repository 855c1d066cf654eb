import { registerHooks } from 'node:module'

/**
 * Preloaded into the real rotator: whoever imports Vault's or AWS's package gets stores in memory, and the rest of it. Its work, acts,
 * leases and queue are as shipped.
 */
const BACKENDS = new Set(['@rekey/backend-vault', '@rekey/backend-aws'])
const memory = new URL('./memory-backends.ts', import.meta.url).href

registerHooks({
  resolve: (specifier, context, next) =>
    BACKENDS.has(specifier) && context.parentURL !== memory
      ? { url: memory, shortCircuit: true }
      : next(specifier, context),
})
