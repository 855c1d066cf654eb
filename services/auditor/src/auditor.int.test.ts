import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { headersOf, verifyChain } from '@rekey/audit'
import { validator } from '@rekey/audit/validator'
import { describe, expect, inject, test, vi } from 'vitest'
import { closedPort, givenSite, type Site } from '../test/given.ts'
import { recordAll } from './recording.ts'

const validate = validator()
const patient = { timeout: 50_000, interval: 50 }

/** Everything is recorded and sent, the topic has all of it, and its last word is that there is no more. */
async function settled(site: Site) {
  await vi.waitFor(async () => {
    const { entries, stored, sent, last } = await site.audit()
    expect({ stored, sent, last }).toEqual({ stored: entries, sent: entries, last: entries })
    const latest = JSON.parse(site.values().at(-1) ?? '{}')
    expect(latest).toMatchObject({ metadata: { sequence: last, event_code: 'AuditHeartbeat' } })
  }, patient)
  const until = await site.ledger.lastRecord()
  return verifyChain(site.values(), until ? { until } : {})
}

describe('the auditor', () => {
  test('puts every journal entry on the topic: valid, in order, chained, with its headers', async () => {
    await using site = await givenSite()
    await site.listen()
    await site.configure()
    const auditor = await site.start()
    for (let n = 0; n < 20; n++) await site.join(`n${n}`)
    expect(await settled(site)).toMatchObject({ ok: true, duplicates: 0 })

    const records = site.values().map((value) => JSON.parse(value))
    expect(records.flatMap(validate)).toEqual([])
    const types = new Set(records.map((record) => record.unmapped.rekey.type))
    expect([...types].sort()).toEqual([
      'AuditHeartbeat',
      'ConfigurationChanged',
      'JoinTokenMade',
      'RotationOpened',
    ])
    const opened = site.messages.find(({ key }) => String(key) === 'chat-key-g1')
    expect(JSON.parse(String(opened?.value))).toMatchObject({
      class_uid: 3004,
      actor: { user: { name: 'ada' } },
      metadata: { correlation_uid: 'chat-key-g1' },
      unmapped: { rekey: { credential: { owner: 'team-ai', environment: 'prod' } } },
    })
    for (const { headers, value } of site.messages) {
      const seen = Object.entries(headers ?? {}).map(([name, text]) => [name, String(text)])
      expect(Object.fromEntries(seen)).toEqual(headersOf(String(value)))
    }
    expect(await auditor.ready()).toEqual({ status: 200, failed: [] })
  })

  test('tells the rotation that its announced revocation is on the topic', async () => {
    await using site = await givenSite()
    await site.configure()
    await site.start()
    await site.pool.query(`
      with counted as (update counter set value = value + 1 where name = 'position' returning value)
      insert into journal (position, stream, seq, type, data, actor)
      select value, 'rotation/chat-key-g1', 900, 'RevocationAnnounced', '{"generation":1,"evidence":["n1"]}', 'test'
      from counted`)
    await vi.waitFor(async () => expect((await site.audit()).settled).toBe(1), patient)
  })

  test('beats while there is nothing to say, inside the chain', async () => {
    await using site = await givenSite()
    await site.listen()
    await site.start({ HEARTBEAT_MS: '200' })
    await vi.waitFor(() => expect(site.messages.length).toBeGreaterThan(5), patient)
    const types = site.values().map((value) => JSON.parse(value).unmapped.rekey.type)
    expect(new Set(types)).toEqual(new Set(['AuditHeartbeat']))
    expect(verifyChain(site.values())).toMatchObject({ ok: true })
  })

  test('stands by while another is on duty, and takes over when that one dies', async () => {
    await using site = await givenSite()
    await site.listen()
    await site.configure()
    const first = await site.start()
    await vi.waitFor(() => expect(first.log()).toContain('on duty'), patient)
    const second = await site.start()
    await vi.waitFor(async () => expect((await second.ready()).status).toBe(200), patient)
    expect(second.log()).not.toContain('on duty')
    await first.kill()
    const beats = site.messages.length
    await vi.waitFor(() => expect(site.messages.length).toBeGreaterThan(beats), patient)
    expect(await settled(site)).toMatchObject({ ok: true })
    expect(second.log()).toContain('on duty')
  })

  test('while Kafka is away at its start: nothing gets a place in the chain, readiness says so, and nothing is lost', async () => {
    await using site = await givenSite()
    await site.listen()
    await site.configure()
    const port = await closedPort()
    const auditor = await site.start({ KAFKA_BROKERS: `127.0.0.1:${port}` })
    await vi.waitFor(async () => {
      expect(await auditor.ready()).toEqual({ status: 503, failed: ['audit topic'] })
    }, patient)
    expect(await site.audit()).toMatchObject({ entries: 3, stored: 0, sent: 0 })
    await site.join('n1')
    await using _ = await forward(port)
    expect(await settled(site)).toMatchObject({ ok: true })
    expect(await auditor.ready()).toEqual({ status: 200, failed: [] })
  })

  test('refuses a topic with several partitions, because it would lose the order', async () => {
    await using site = await givenSite({ partitions: 2 })
    await site.configure()
    const auditor = await site.start()
    await vi.waitFor(() => expect(auditor.log()).toContain('a chain needs exactly one'), patient)
    expect(await auditor.ready()).toEqual({ status: 503, failed: ['audit topic'] })
    expect(await site.audit()).toMatchObject({ sent: 0 })
  })
})

describe('killed', () => {
  test('between store and send: the chain goes on without a gap', async () => {
    await using site = await givenSite()
    await site.listen()
    await site.configure()
    await recordAll(site.ledger, new AbortController().signal)
    const stored = await site.ledger.unsentRecords(10)
    expect(stored).toHaveLength(3)
    expect(site.messages).toEqual([])
    await site.start()
    expect(await settled(site)).toMatchObject({ ok: true, duplicates: 0 })
    expect(site.values().slice(0, 3)).toEqual(stored.map(({ bytes }) => bytes))
  })

  test('between send and mark: what comes twice is the same, byte for byte', async () => {
    await using site = await givenSite()
    await site.listen()
    await site.configure()
    // The mark waits for a lock that this test holds; nothing else updates the table.
    await site.pool.query(`
      create function wait() returns trigger language plpgsql as
        $$ begin perform pg_advisory_xact_lock(4711); return new; end $$;
      create trigger wait before update on audit_out for each row execute function wait()`)
    const holder = await site.pool.connect()
    await holder.query('select pg_advisory_lock(4711)')
    const first = await site.start()
    await vi.waitFor(() => expect(site.messages).toHaveLength(3), patient)
    await first.kill()
    // The database would still run the statement of a dead client once the lock is free.
    await site.pool.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where query like 'update audit_out%'",
    )
    holder.release(true)
    expect(await site.audit()).toMatchObject({ stored: 3, sent: 0 })
    await site.start()
    expect(await settled(site)).toMatchObject({ ok: true, duplicates: 3 })
    expect(site.values().slice(3, 6)).toEqual(site.values().slice(0, 3))
    const [once, again] = [site.messages[0], site.messages[3]]
    expect([again?.key, again?.headers, again?.timestamp]).toEqual([
      once?.key,
      once?.headers,
      once?.timestamp,
    ])
  })

  test('five times at any moment, under load: no gap, no fork, no edit', async () => {
    await using site = await givenSite()
    await site.listen()
    await site.configure()
    const written = new AbortController()
    const writing = (async () => {
      for (let n = 0; !written.signal.aborted; n++) await site.join(`n${n % 7}`)
    })()
    for (let life = 0; life < 5; life++) {
      const auditor = await site.start({ HEARTBEAT_MS: '100' })
      await vi.waitFor(() => expect(auditor.log()).toContain('on duty'), patient)
      const before = site.messages.length
      await vi.waitFor(() => expect(site.messages.length).toBeGreaterThan(before + life * 6), {
        timeout: 50_000,
        interval: 7,
      })
      await auditor.kill()
    }
    written.abort()
    await writing
    await site.start()
    const result = await settled(site)
    expect(result).toMatchObject({ ok: true })
    if (result.ok)
      process.stderr.write(`killed 5 times: ${result.records} records, ${result.duplicates} resent\n`)
  }, 180_000)
})

/** Passes connections to the real broker, as if it had come back. Its metadata names the real port from then on. */
async function forward(port: number): Promise<AsyncDisposable> {
  const [broker = ''] = inject('stack').kafkaBrokers
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    const upstream = connect(Number(broker.split(':')[1]), '127.0.0.1')
    for (const each of [socket, upstream]) sockets.add(each.on('error', () => undefined))
    socket.pipe(upstream).pipe(socket)
  }).listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
