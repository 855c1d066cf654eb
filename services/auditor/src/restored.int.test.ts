import { verifyChain } from '@rekey/audit'
import { describe, expect, test, vi } from 'vitest'
import { givenSite, type Site } from '../test/given.ts'

const patient = { timeout: 50_000, interval: 50 }

/** Every entry has its record on the topic. */
const settled = (site: Site) =>
  vi.waitFor(async () => {
    const { rows } = await site.pool.query(
      `select count(*)::int as owed from journal left join audit_out a using (position)
       where a.sent_at is null and position > (select min(position) from audit_out)`,
    )
    expect(rows[0].owed).toBe(0)
    const { sequence } = (await site.ledger.lastRecord()) ?? { sequence: -1 }
    expect(Math.max(...site.values().map((value) => JSON.parse(value).metadata.sequence))).toBe(sequence)
  }, patient)

/** The ledger as it was at a position. */
async function restore(site: Site, position: number): Promise<void> {
  await site.pool.query('delete from audit_out where position > $1', [position])
  await site.pool.query('delete from journal where position > $1', [position])
  await site.pool.query("update counter set value = $1 where name = 'position'", [position])
}

const uidsOf = (site: Site) => [...new Set(site.values())].map((value) => JSON.parse(value).metadata.uid)

describe('a topic that is ahead of the ledger', () => {
  test('stops the auditor until somebody recovers the ledger, and its chain goes on from its last record', async () => {
    await using site = await givenSite()
    await site.listen()
    await site.configure()
    const before = await site.start()
    await settled(site)
    const [last] = (await site.ledger.journal({})).slice(-1)
    for (let n = 0; n < 5; n++) await site.join(`n${n}`)
    await settled(site)
    await before.kill()
    const known = site.values().length
    await restore(site, last?.position ?? 0)

    const after = await site.start()
    await vi.waitFor(() => expect(after.log()).toContain('ledger_behind'), patient)
    expect(after.log()).toContain('rekey recover')
    // What happens meanwhile gets the positions of other entries, which are on the topic.
    await site.join('n8')
    await site.join('n9')
    expect(await after.ready()).toEqual({ status: 503, failed: ['ledger behind'] })
    expect(site.values()).toHaveLength(known)

    await site.ledger.recover({ actor: 'operator/ana', reason: 'the disk died' })
    await settled(site)
    const result = verifyChain(site.values())
    expect(result).toMatchObject({ ok: true, duplicates: 0 })
    expect(new Set(uidsOf(site)).size).toBe(site.values().length)
    const types = site.values().map((value) => JSON.parse(value).metadata.event_code)
    expect(types.slice(known)).toEqual(expect.arrayContaining(['JoinTokenMade', 'RecoveryStarted']))
    expect(await site.ledger.showRecovery()).toMatchObject({ auditHead: expect.any(Number) })
    expect((await after.ready()).status).toBe(200)

    // The next one on duty knows the end of the topic again.
    await after.kill()
    const next = await site.start()
    await site.join('n10')
    await settled(site)
    expect(next.log()).not.toContain('ledger_behind')
    expect(verifyChain(site.values())).toMatchObject({ ok: true })
  })

  test('with records that the backup had stored and not marked as sent: none comes with other content', async () => {
    await using site = await givenSite()
    await site.listen()
    await site.configure()
    const before = await site.start()
    for (let n = 0; n < 5; n++) await site.join(`n${n}`)
    await settled(site)
    await before.kill()
    const entries = await site.ledger.journal({})
    await restore(site, entries.at(-3)?.position ?? 0)
    await site.pool.query(
      'update audit_out set sent_at = null where sequence > (select max(sequence) - 2 from audit_out)',
    )
    await site.ledger.recover({ actor: 'operator/ana', reason: 'the disk died' })
    await site.start()
    await settled(site)
    expect(verifyChain(site.values())).toMatchObject({ ok: true, duplicates: 0 })
  })

  test('a recovery of a ledger that was not behind changes nothing about the chain', async () => {
    await using site = await givenSite()
    await site.listen()
    await site.configure()
    const before = await site.start()
    await settled(site)
    await site.ledger.recover({ actor: 'operator/ana', reason: 'to be sure' })
    await settled(site)
    await before.kill()
    const after = await site.start()
    await site.join('n1')
    await settled(site)
    expect(after.log()).not.toContain('ledger_behind')
    expect(verifyChain(site.values())).toMatchObject({ ok: true })
  })
})
