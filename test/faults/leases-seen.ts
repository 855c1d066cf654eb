import type { SupervisedProcess } from '@rekey/platform'
import pg from 'pg'
import { expect } from 'vitest'

/** Every lease that is given or renewed, as a trigger of the test's own database writes it down, on the database's clock. */
const WATCH = `
  create table leases_seen (key text, attempt integer, by text, until timestamptz, at timestamptz default clock_timestamp());
  create function lease_seen() returns trigger language plpgsql as $$
  begin
    insert into leases_seen (key, attempt, by, until) values (new.key, new.attempt, new.lease_by, new.lease_until);
    return null;
  end $$;
  create trigger lease_seen after update of lease_until on effect for each row
    when (new.lease_until is not null and new.kind not in ('timer', 'deliver'))
    execute function lease_seen();`

/** Milliseconds of the database's clock. */
export type Lease = { attempt: number; by: string; until: number; at: number }

export type LeasesSeen = {
  of(key: string): Promise<Lease[]>
  now(): Promise<number>
  /** Waits until a worker holds the effect, has renewed it often, and is still at its first attempt. */
  holderOf(key: string, among: SupervisedProcess[]): Promise<SupervisedProcess>
  close(): Promise<void>
}

export async function watchLeases(postgresUrl: string): Promise<LeasesSeen> {
  const database = new pg.Client({ connectionString: postgresUrl })
  await database.connect()
  await database.query(WATCH)
  const of = async (key: string): Promise<Lease[]> => {
    const { rows } = await database.query(
      `select attempt, by, (extract(epoch from until) * 1000)::float as until, (extract(epoch from at) * 1000)::float as at
       from leases_seen where key = $1 order by at`,
      [key],
    )
    return rows
  }
  return {
    of,
    async now() {
      const { rows } = await database.query(
        'select (extract(epoch from clock_timestamp()) * 1000)::float as now',
      )
      return rows[0].now
    },
    async holderOf(key, among) {
      await expect.poll(async () => (await of(key)).length, { timeout: 30_000 }).toBeGreaterThan(5)
      const [first] = await of(key)
      const pid = Number(first?.by.split('-').at(-1))
      const holder = among.find((process) => process.pid === pid)
      if (!holder) throw new Error(`${first?.by} is none of ours`)
      return holder
    },
    close: () => database.end(),
  }
}
