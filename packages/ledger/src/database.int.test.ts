import { createDatabase } from '@rekey/local'
import { expect, inject, test } from 'vitest'
import { connectDatabase } from './database.ts'

test('a transaction outlives a migration that changes what its prepared statement returns', async () => {
  const url = await createDatabase(
    { postgres: { url: inject('stack').postgresUrl } },
    `database_${crypto.randomUUID().replaceAll('-', '')}`,
  )
  const db = connectDatabase(url, 'test', { max: 1 })
  const migration = connectDatabase(url, 'migration', { max: 1 })
  const read = () =>
    db.transaction(async (tx) => (await tx.query('select * from thing where n = $1', [1])).rows)
  try {
    await migration.pool.query('create table thing (n integer)')
    await migration.pool.query('insert into thing values (1)')
    expect(await read()).toEqual([{ n: 1 }])
    await migration.pool.query("alter table thing add column more text default 'm'")
    expect(await read()).toEqual([{ n: 1, more: 'm' }])
  } finally {
    await Promise.all([db.close(), migration.close()])
  }
})
