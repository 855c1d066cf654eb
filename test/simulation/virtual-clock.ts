import { type Ledger, migrate, openLedger } from '@rekey/ledger'
import { createDatabase } from '@rekey/local'
import pg from 'pg'

/**
 * A real ledger whose database reads a clock that the test moves. The functions that tell the time are looked up in a
 * schema of ours before PostgreSQL's own, in every statement and in every default.
 */
export type VirtualLedger = { ledger: Ledger; setClock(ms: number): Promise<void>; close(): Promise<void> }

const CLOCK = `
  create schema sim;
  create table sim.clock (ms bigint not null);
  insert into sim.clock values (0);
  create function sim.now() returns timestamptz language sql stable
    as 'select pg_catalog.to_timestamp(ms / 1000.0) from sim.clock';
  create function sim.clock_timestamp() returns timestamptz language sql stable as 'select sim.now()';
  create function sim.statement_timestamp() returns timestamptz language sql stable as 'select sim.now()';`

export async function openVirtualLedger(postgresUrl: string): Promise<VirtualLedger> {
  const name = `virtual_${crypto.randomUUID().replaceAll('-', '')}`
  const url = await createDatabase({ postgres: { url: postgresUrl } }, name)
  const admin = new pg.Client({ connectionString: url })
  await admin.connect()
  await admin.query(CLOCK)
  await admin.query(`alter database ${name} set search_path = sim, public, pg_catalog`)
  await migrate(url)
  const ledger = openLedger({ url, name: 'simulation' })
  let now = 0
  return {
    ledger,
    async setClock(ms) {
      if (ms === now) return
      now = ms
      await admin.query('update sim.clock set ms = $1', [ms])
    },
    async close() {
      await ledger.close()
      await admin.end()
    },
  }
}
