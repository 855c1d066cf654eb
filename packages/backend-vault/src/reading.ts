/** What who only reads needs, such as an agent: without the X.509 library, which is as large as all of the rest. */
export { anonymousVault, connectVault, type VaultClient } from './client.ts'
export { vaultReader } from './reader.ts'
export { trySecretId } from './try-secret-id.ts'
