import { readdirSync, readFileSync } from 'node:fs'
import { connectDatabase } from './database.ts'

const FOLDER = new URL('../migrations/', import.meta.url)

/** Brings the schema up to date. Safe to run from many processes at once. Returns the names that it applied. */
export async function migrate(url: string): Promise<string[]> {
  const database = connectDatabase(url, 'rekey-migrate')
  try {
    return await database.transaction(async (tx) => {
      await tx.query("select pg_advisory_xact_lock(hashtext('rekey-migrate'))")
      await tx.query(
        'create table if not exists migration (name text primary key, applied_at timestamptz not null default now())',
      )
      const { rows } = await tx.query('select name from migration')
      const applied = new Set(rows.map((row) => row.name))
      const pending = readdirSync(FOLDER)
        .filter((name) => name.endsWith('.sql') && !applied.has(name))
        .sort()
      for (const name of pending) {
        await tx.query(readFileSync(new URL(name, FOLDER), 'utf8'))
        await tx.query('insert into migration (name) values ($1)', [name])
      }
      return pending
    })
  } finally {
    await database.close()
  }
}
