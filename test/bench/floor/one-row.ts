import pg from 'pg'
import type { Servers } from '../servers.ts'

/** One row that everybody wants: each takes its lock, changes it, and commits. As many connections as a service has. */
export type OneRow = {
  /** So many at once; milliseconds of each, from when it was asked for. */
  update(count: number): Promise<number[]>
  close(): Promise<void>
}

/** As many as a service has. */
export const CONNECTIONS = 10

export async function oneRow(servers: Servers): Promise<OneRow> {
  const pool = new pg.Pool({ connectionString: await servers.createDatabase(), max: CONNECTIONS })
  await pool.query('create table one (id int primary key, n int not null)')
  await pool.query('insert into one values (1, 0)')
  const update = async () => {
    const startedAt = performance.now()
    const client = await pool.connect()
    try {
      await client.query('begin')
      await client.query({ name: 'lock', text: 'select n from one where id = $1 for update', values: [1] })
      await client.query({ name: 'update', text: 'update one set n = n + 1 where id = $1', values: [1] })
      await client.query('commit')
    } finally {
      client.release()
    }
    return performance.now() - startedAt
  }
  return {
    update: (count) => Promise.all(Array.from({ length: count }, update)),
    close: () => pool.end(),
  }
}
