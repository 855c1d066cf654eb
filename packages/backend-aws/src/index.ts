export { type AwsConnection, connectSecretsManager, type SecretsManager } from './client.ts'
export * from './secrets-manager-store.ts'
