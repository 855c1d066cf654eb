export type { AuditableEntry, JournalEvent, LedgerEvent } from './entry.ts'
export { type AuditHeaders, headersOf } from './headers.ts'
export { type Chain, GENESIS, HASH_ALGORITHM, OCSF_VERSION, type OcsfRecord, toOcsf } from './to-ocsf.ts'
export { type Fault, type Head, headOf, type Verification, verifyChain } from './verify-chain.ts'
