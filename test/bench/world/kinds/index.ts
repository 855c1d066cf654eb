import type { Servers } from '../../servers.ts'
import type { AwsPlace } from '../aws-place.ts'
import { accessKey } from './access-key.ts'
import { certificate } from './certificate.ts'
import { databaseLogin } from './database-login.ts'
import { databaseStaticRoles } from './database-static.ts'
import type { Kind } from './kind.ts'
import { managed } from './managed.ts'
import { rolePair } from './role-pair.ts'
import { secretId } from './secret-id.ts'

export type { Kind } from './kind.ts'

export async function startKinds(place: AwsPlace, servers: Servers): Promise<Kind[]> {
  return [
    await rolePair(servers),
    await accessKey(place),
    await managed(place, servers),
    await secretId(place),
    await databaseLogin(place, servers),
    await databaseStaticRoles(place, servers),
    await certificate(place),
  ]
}
