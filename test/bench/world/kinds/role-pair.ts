import { randomUUID } from 'node:crypto'
import { rolePairAuthority } from '@rekey/backend-postgres'
import { Secret } from '@rekey/contracts'
import { makeRolePair } from '@rekey/local'
import pg from 'pg'
import type { Servers } from '../../servers.ts'
import { expectRefused, type Kind, logIn, replacing } from './kind.ts'

export async function rolePair(servers: Servers): Promise<Kind> {
  const url = await servers.createDatabase()
  const pair = await makeRolePair(url, `bench_${randomUUID().slice(0, 8)}`)
  const { endpoint } = pair
  const authority = rolePairAuthority(
    {
      pair: pair.pair,
      owner: pair.owner,
      connection: 'bench',
      endpoints: [{ name: 'primary', url: endpoint }],
    },
    { connection: () => Secret.of(pair.connection) },
  )
  const admin = new pg.Client({ connectionString: url })
  await admin.connect()
  const bareRoles = [`${pair.pair}_bare_a`, `${pair.pair}_bare_b`] as const
  for (const role of bareRoles) await admin.query(`create role ${role}`)
  const login = (user: string, password: string) => logIn(endpoint, user, password)
  let turn = 0
  let old: { role: string; password: string } | undefined
  return {
    kind: 'postgres-role-pair',
    ours: replacing(authority),
    async bare() {
      const role = bareRoles[turn++ % 2] as string
      const password = randomUUID()
      await admin.query(`alter role ${role} login password '${password}'`)
      await login(role, password)
      if (old) {
        await admin.query(`alter role ${old.role} nologin password null`)
        await expectRefused(login(old.role, old.password), '28P01')
      }
      old = { role, password }
    },
    async close() {
      for (const role of bareRoles) await admin.query(`drop role ${role}`)
      await admin.end()
      await pair.drop()
    },
  }
}
