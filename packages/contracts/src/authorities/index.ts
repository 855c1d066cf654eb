import { z } from 'zod'
import { awsIamAccessKey } from './aws-iam-access-key.ts'
import { awsManagedRotation } from './aws-managed-rotation.ts'
import type { AuthorityDefinition } from './definition.ts'
import { nodes } from './nodes.ts'
import { postgresRolePair } from './postgres-role-pair.ts'
import { redisAclPair } from './redis-acl-pair.ts'
import { vaultAppRoleSecretId } from './vault-approle-secret-id.ts'
import { vaultDatabaseDynamic } from './vault-database-dynamic.ts'
import { vaultDatabaseStatic } from './vault-database-static.ts'
import { vaultPkiCertificate } from './vault-pki-certificate.ts'

/** Every kind of authority. A new one is a file beside these and a line here; docs/guides/new-authority.md goes through it. */
export const AUTHORITIES = [
  nodes,
  postgresRolePair,
  awsIamAccessKey,
  awsManagedRotation,
  vaultAppRoleSecretId,
  vaultDatabaseDynamic,
  vaultDatabaseStatic,
  vaultPkiCertificate,
  redisAclPair,
] as const

type Schemas<All extends readonly { schema: unknown }[]> = { [At in keyof All]: All[At]['schema'] }

/** `spec.authority` of a credential. */
export const AuthoritySpec = z.discriminatedUnion(
  'kind',
  AUTHORITIES.map(({ schema }) => schema) as unknown as Schemas<typeof AUTHORITIES>,
)
export type AuthoritySpec = z.infer<typeof AuthoritySpec>

/** What is said of the kind of this authority. */
export function definitionOf({
  kind,
}: Pick<AuthoritySpec, 'kind'>): AuthorityDefinition<typeof AuthoritySpec> {
  const found = AUTHORITIES.find((one) => one.kind === kind)
  if (!found) throw new Error(`contracts-0001: there is no authority of the kind ${kind}`)
  // Each takes the specs of its own kind, and it was found by that.
  return found as unknown as AuthorityDefinition<typeof AuthoritySpec>
}

export { type AwsIamAccessKeySpec, ROTATOR_AWS } from './aws-iam-access-key.ts'
export type { AwsManagedRotationSpec } from './aws-managed-rotation.ts'
export type { AuthorityAbilities, AuthorityDefinition } from './definition.ts'
export type { NodesAuthoritySpec } from './nodes.ts'
export { type PostgresRolePairSpec, PostgresUrl } from './postgres-role-pair.ts'
export type { RedisAclPairSpec } from './redis-acl-pair.ts'
export { ROTATOR_VAULT, type VaultAppRoleSecretIdSpec } from './vault-approle-secret-id.ts'
export type { VaultDatabaseDynamicSpec } from './vault-database-dynamic.ts'
export type { VaultDatabaseStaticSpec } from './vault-database-static.ts'
export type { VaultPkiCertificateSpec } from './vault-pki-certificate.ts'
