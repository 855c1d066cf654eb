import { randomUUID } from 'node:crypto'
import { postgresLoginServer } from '@rekey/backend-postgres'
import { databaseStatic } from '@rekey/backend-vault'
import { Secret } from '@rekey/contracts'
import { makeStaticPair } from '@rekey/local'
import type { Servers } from '../../servers.ts'
import { type AwsPlace, rootOf, rootTokenOf, vaultOf } from '../aws-place.ts'
import { expectRefused, type Kind, logIn, replacing } from './kind.ts'

/** A mint waits for so long. A rotator has a fifth of REKEY_ACT_MS, which is three times as much by default. */
const FENCE_MS = 1_000

export async function databaseStaticRoles(place: AwsPlace, servers: Servers): Promise<Kind> {
  const { addr } = place.stack.vault
  const postgresUrl = await servers.createDatabase()
  const token = rootTokenOf(place)
  const make = () =>
    makeStaticPair(
      { postgresUrl, vault: { addr, token: token.reveal() } },
      `bench_${randomUUID().slice(0, 8)}`,
    )
  const [own, theirs] = [await make(), await make()]
  const [root, rotator] = [rootOf(place), vaultOf(place, addr)]
  const keyIds: Record<number, string> = {}
  const logins = postgresLoginServer(
    { endpoints: [{ name: 'primary', url: own.endpoint }], watcher: 'bench' },
    { connection: () => Secret.of(own.sessions) },
  )
  const authority = databaseStatic(
    rotator,
    {
      mount: own.mount,
      roles: own.roles,
      tokenRole: 'rekey-database-static',
      rotationPeriod: '90d',
      refusalLagMs: 0,
    },
    { credential: `bench-${randomUUID()}`, keyIds, logins, fenceMs: FENCE_MS },
  )
  let old: { role: string; username: string; password: Secret } | undefined
  return {
    kind: 'vault-database-static',
    ours: replacing(authority, keyIds),
    async bare() {
      const { mount, roles, endpoint } = theirs
      const role = old?.role === roles[0] ? roles[1] : roles[0]
      await root.staticRotate({ mount, role }, token)
      const { username, password } = await root.staticLogin({ mount, role })
      await logIn(endpoint, username, password.reveal())
      if (old) {
        await root.staticRotate({ mount, role: old.role }, token)
        await expectRefused(logIn(endpoint, old.username, old.password.reveal()), '28P01')
      }
      old = { role, username, password }
    },
    async close() {
      rotator.close()
      root.close()
      for (const pair of [own, theirs]) await pair.drop()
    },
  }
}
