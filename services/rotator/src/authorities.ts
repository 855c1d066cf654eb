import { iamAccessKey, managedRotation } from '@rekey/backend-aws'
import { postgresLoginServer, rolePairAuthority } from '@rekey/backend-postgres'
import { redisAclPairAuthority } from '@rekey/backend-redis-acl-pair'
import { appRoleSecretId, databaseDynamic, databaseStatic, pkiCertificate } from '@rekey/backend-vault'
import { type Authority, type AuthoritySpec, RekeyError } from '@rekey/contracts'
import type { Connections } from './connections.ts'
import { nodesAuthority } from './nodes-authority.ts'

/** `keyIds`: the provider's names of the values that it made for the credential, by generation. */
export type Authorities = (
  spec: AuthoritySpec,
  keyIds: Record<number, string>,
  credential: string,
) => Authority

/** An attempt waits for the end of a token once, or twice, and does more beside that. */
const FENCES = 5

/** What makes a credential valid, by kind. One line for each. `actMs`: how long an attempt may act. */
export function authoritiesOf(connections: Connections, actMs: number): Authorities {
  /** Whoever is slow has kept what it made by then, or never will. */
  const keptWithinMs = 2 * actMs
  /** Where clients log in, and by which connection it is seen who has. */
  const loginServer = (endpoints: { name: string; url: string }[], watcher: string) =>
    postgresLoginServer({ endpoints, watcher }, { connection: () => connections.file(watcher) })
  return (spec, named, credential) => {
    const keyIds = mintedOnly(named, credential)
    switch (spec.kind) {
      case 'redis-acl-pair':
        return redisAclPairAuthority(spec, { connection: () => connections.file(spec.connection) })
      case 'nodes':
        return nodesAuthority(spec)
      case 'postgres-role-pair':
        return rolePairAuthority(spec, { connection: () => connections.file(spec.connection) })
      case 'aws-iam-access-key':
        return iamAccessKey(connections.iam(spec.connection, spec.region), {
          user: spec.user,
          keyIdOf: (generation) => keyIds[generation],
          keptWithinMs,
        })
      case 'aws-managed-rotation':
        return managedRotation(connections.rotated(spec.connection, spec.region), spec, {
          credential,
          keyIds,
          server: loginServer(spec.endpoints, spec.watcher),
          followMs: actMs / 3,
        })
      case 'vault-approle-secret-id':
        return appRoleSecretId(connections.vault(spec.connection), spec, {
          credential,
          keyIds,
          keptWithinMs,
        })
      case 'vault-database-dynamic':
        return databaseDynamic(connections.vault(spec.connection), spec, {
          credential,
          keyIds,
          logins: loginServer(spec.endpoints, spec.sessions),
          keptWithinMs,
        })
      case 'vault-database-static':
        return databaseStatic(connections.vault(spec.connection), spec, {
          credential,
          keyIds,
          logins: loginServer(spec.endpoints, spec.sessions),
          fenceMs: actMs / FENCES,
        })
      case 'vault-pki-certificate':
        return pkiCertificate(connections.vault(spec.connection), spec, { credential, keyIds, keptWithinMs })
      default:
        // A newer release has other kinds: nothing of them is done by halves.
        throw new RekeyError(
          'newer_release',
          `this rotator knows no authority ${(spec satisfies never as AuthoritySpec).kind}`,
        )
    }
  }
}

/** Until its value is made, a generation has a name of ours, which no provider knows. */
function mintedOnly(keyIds: Record<number, string>, credential: string): Record<number, string> {
  const minted = Object.entries(keyIds).filter(([generation, id]) => id !== `${credential}.g${generation}`)
  return Object.fromEntries(minted)
}
