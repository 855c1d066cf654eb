import { readFileSync } from 'node:fs'
import { createDatabase } from '@rekey/local'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { ScriptedWorkers } from './fixtures/scripted-workers.ts'
import { type Ledger, migrate, openLedger } from './index.ts'

/**
 * What release 0.1 left behind at each step of a rotation (written by that release itself, with the schema that it had),
 * is brought up to date, read, and finished by this one.
 */
type Rows = Record<string, Record<string, unknown>[]>
const { common, snapshots }: { common: Rows; snapshots: Record<string, Rows> } = JSON.parse(
  readFileSync(new URL('./fixtures/format-1.json', import.meta.url), 'utf8'),
)
const SCHEMA = readFileSync(new URL('../migrations/0001_ledger.sql', import.meta.url), 'utf8')

let ledger: Ledger
let database: pg.Client
let url: string

beforeEach(async () => {
  url = await createDatabase(
    { postgres: { url: inject('stack').postgresUrl } },
    `upgrade_${crypto.randomUUID().replaceAll('-', '')}`,
  )
  database = new pg.Client({ connectionString: url })
  await database.connect()
})
afterEach(async () => {
  await ledger?.close()
  await database.end()
})

/** The database as the older release left it, and then the migrations of this one. */
async function load(snapshot: Rows): Promise<void> {
  await database.query(SCHEMA)
  await database.query(
    "create table migration (name text primary key, applied_at timestamptz not null default now()); insert into migration values ('0001_ledger.sql')",
  )
  const { workload, rule, inbox, node } = common
  const { credential, generation, rotation, effect, placement, counter } = snapshot
  await database.query('delete from counter')
  const tables = { workload, credential, rule, generation, rotation, effect, inbox, node, placement, counter }
  for (const [table, rows] of Object.entries(tables))
    await database.query(`insert into ${table} select * from jsonb_populate_recordset(null::${table}, $1)`, [
      JSON.stringify(rows ?? []),
    ])
  expect((await migrate(url)).length).toBeGreaterThan(0)
  ledger = openLedger({ url, name: 'test' })
}

/** What the stores show by then: the last of what was promoted and put back. */
function shownBy(snapshot: Rows): Record<string, string> {
  const state = snapshot.rotation?.[0]?.state as {
    successor: { promoted: string[] }
    retirements: { restored: string[] }[]
  }
  const versions = (generation: number) =>
    snapshot.generation?.find((g) => g.generation === generation)?.store_versions as Record<string, string>
  const restored = state.retirements.flatMap((r) => r.restored)
  return Object.fromEntries(
    Object.keys(versions(1)).map((store) => {
      const moved = state.successor.promoted.includes(store) && !restored.includes(store)
      return [store, versions(moved ? 2 : 1)[store] ?? '']
    }),
  )
}

describe('a rotation that release 0.1 left at', () => {
  test.each(Object.entries(snapshots))('%s, is read, and finished', async (name, snapshot) => {
    await load(snapshot)
    const [before] = await ledger.listRotations({})
    expect(before).toMatchObject({ id: 'key-g2', mode: 'rotate', goal: 'replace', generation: 2, base: 1 })
    const workers = new ScriptedWorkers(ledger, shownBy(snapshot))
    const journal = await ledger.journal({ stream: 'rotation/key-g2' })
    expect(journal).toEqual([])
    // What it announced before, the topic may acknowledge now.
    const state = snapshot.rotation?.[0]?.state as {
      retirements: { announced: boolean; generation: number }[]
    }
    for (const { announced, generation } of state.retirements)
      if (announced) await workers.acknowledge('key-g2', generation)
    const isBack = name.startsWith('Rolled back')
    expect(await workers.untilEnded('key', 'key-g2')).toBe(isBack ? 'rolled-back' : 'closed')
    const [credential] = await ledger.listCredentials('key')
    expect(credential?.currentGeneration).toBe(isBack ? 1 : 2)
    expect(credential?.generations.map((g) => [g.generation, g.label, g.validity])).toEqual([
      [1, isBack ? 'current' : null, isBack ? 'active' : 'destroyed'],
      [2, isBack ? null : 'current', isBack ? 'destroyed' : 'active'],
    ])
    const { rows } = await database.query(
      "select state ->> 'format' as format from rotation where id = 'key-g2'",
    )
    if (!before?.outcome) expect(Number(rows[0].format)).toBeGreaterThan(1)

    // The next one finds the stores as they are, whichever release moved them last.
    const cause = { kind: 'order', actor: 'test', reason: 'after the upgrade' } as const
    const { rotation } = await ledger.start('key', {
      cause,
      mode: 'rotate',
      goal: 'replace',
      compromised: [],
    })
    expect(await workers.untilEnded('key', rotation)).toBe('closed')
  })
})
