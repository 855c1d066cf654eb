import { randomUUID } from 'node:crypto'
import { postgresLoginServer } from '@rekey/backend-postgres'
import { databaseDynamic } from '@rekey/backend-vault'
import { Secret } from '@rekey/contracts'
import { makeDatabaseRole } from '@rekey/local'
import type { Servers } from '../../servers.ts'
import { type AwsPlace, rootOf, rootTokenOf, vaultOf } from '../aws-place.ts'
import { expectRefused, type Kind, logIn, replacing } from './kind.ts'

const LEASE = '1h'
const LEASE_S = 3_600

export async function databaseLogin(place: AwsPlace, servers: Servers): Promise<Kind> {
  const { addr } = place.stack.vault
  const postgresUrl = await servers.createDatabase()
  const token = rootTokenOf(place)
  const make = () =>
    makeDatabaseRole(
      { postgresUrl, vault: { addr, token: token.reveal() } },
      `bench_${randomUUID().slice(0, 8)}`,
      { max_ttl: LEASE },
    )
  const [own, theirs] = [await make(), await make()]
  const [root, rotator] = [rootOf(place), vaultOf(place, addr)]
  const keyIds: Record<number, string> = {}
  const logins = postgresLoginServer(
    { endpoints: [{ name: 'primary', url: own.endpoint }], watcher: 'bench' },
    { connection: () => Secret.of(own.sessions) },
  )
  const authority = databaseDynamic(
    rotator,
    { mount: own.mount, role: own.role, tokenRole: 'rekey-database', leaseMax: LEASE },
    { credential: `bench-${randomUUID()}`, keyIds, logins },
  )
  let old: { username: string; password: Secret; leaseId: string } | undefined
  return {
    kind: 'vault-database-dynamic',
    ours: replacing(authority, keyIds),
    async bare() {
      const made = await root.databaseLogin(theirs, token)
      await root.leaseRenew(made.leaseId, LEASE_S)
      await logIn(theirs.endpoint, made.username, made.password.reveal())
      if (old) {
        await root.leaseRevoke(old.leaseId)
        await expectRefused(logIn(theirs.endpoint, old.username, old.password.reveal()), '28P01')
      }
      old = made
    },
    async close() {
      rotator.close()
      root.close()
      for (const role of [own, theirs]) await role.drop()
    },
  }
}
