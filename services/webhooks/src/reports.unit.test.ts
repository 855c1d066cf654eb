import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { RekeyError } from '@rekey/contracts'
import type { CloudEvent } from '@rekey/events'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { givenFolder, keptLog } from '../test/given.ts'
import type { Report } from './report.ts'
import { type Identify, type Reports, sendReports } from './reports.ts'
import { openSpool } from './spool.ts'

const FINGERPRINT = `vault:v1:${'A'.repeat(43)}=`

const report = (number = 42, over: Partial<Report> = {}): Report => ({
  emitter: 'github',
  leak: { type: 'credential.leaked', credential: 'chat-gateway-key', where: 'https://github.example/42' },
  isNamed: true,
  origin: { source: '/github/octo/chat', name: `secret-scanning/${number}`, at: new Date(0) },
  alert: { owner: 'octo', repository: 'chat', number },
  ...over,
})

let folder: ReturnType<typeof givenFolder>
let log: ReturnType<typeof keptLog>
let published: CloudEvent[]
let isKafkaUp: boolean
const running: Reports[] = []

beforeEach(() => {
  folder = givenFolder()
  log = keptLog()
  published = []
  isKafkaUp = true
})
afterEach(async () => {
  for (const reports of running.splice(0)) await reports.close()
  folder.end()
})

const publish = async (_emitter: string, event: CloudEvent) => {
  if (!isKafkaUp) throw new RekeyError('backend_unavailable', 'Kafka is away')
  published.push(event)
}

async function start(identify?: Identify, reportsMax = 10) {
  const spool = await openSpool(join(folder.dir, 'spool'), reportsMax, log.logger)
  const reports = sendReports({ spool, publish, logger: log.logger, ...(identify && { identify }) })
  running.push(reports)
  return { reports, found: spool.found }
}

const files = () => readdirSync(join(folder.dir, 'spool'))
const contents = () => published.map(({ data }) => (data as { subject: { content: object } }).subject.content)

describe('a report of a leak', () => {
  test('is sent, and forgotten when Kafka has it', async () => {
    const { reports } = await start()
    expect(await reports.take(report())).toBe(true)
    await vi.waitFor(() => expect(published).toHaveLength(1))
    await vi.waitFor(() => expect(files()).toEqual([]))
    expect(reports.state()).toEqual({ waiting: 0, late: false })
  })

  test('names its value where that can be fetched', async () => {
    const asked: unknown[] = []
    const { reports } = await start(async (alert) => {
      asked.push(alert)
      return FINGERPRINT
    })
    await reports.take(report())
    await vi.waitFor(() => expect(contents()).toMatchObject([{ fingerprint: FINGERPRINT }]))
    expect(asked).toEqual([{ owner: 'octo', repository: 'chat', number: 42 }])
  })

  test('is sent without its value where that is refused, or is none', async () => {
    const { reports } = await start(async ({ number }) => {
      if (number === 2) return 'no fingerprint'
      throw new RekeyError('permission_denied', 'the token may not')
    })
    await reports.take(report(1))
    await reports.take(report(2))
    await vi.waitFor(() => expect(published).toHaveLength(2))
    for (const content of contents()) expect(content).toEqual({ where: 'https://github.example/42' })
  })

  test('is asked for again where GitHub is away for a moment', async () => {
    let times = 0
    const { reports } = await start(async () => {
      if (++times < 3) throw new RekeyError('backend_unavailable', 'away')
      return FINGERPRINT
    })
    await reports.take(report())
    await vi.waitFor(() => expect(contents()).toMatchObject([{ fingerprint: FINGERPRINT }]), {
      timeout: 5_000,
    })
  })

  test('waits for Kafka over the death of the process, and is sent once for all its deliveries', async () => {
    isKafkaUp = false
    const first = await start()
    for (let n = 0; n < 3; n++) expect(await first.reports.take(report())).toBe(true)
    expect(files()).toHaveLength(1)
    await first.reports.close()
    isKafkaUp = true
    const second = await start()
    expect(second.found).toEqual([report()])
    await vi.waitFor(() => expect(published).toHaveLength(1))
    await vi.waitFor(() => expect(files()).toEqual([]))
  })

  test('finds no room where too many wait, and there is room again when they are sent', async () => {
    isKafkaUp = false
    const { reports } = await start(undefined, 2)
    const taken = [
      await reports.take(report(1)),
      await reports.take(report(2)),
      await reports.take(report(3)),
    ]
    expect(taken).toEqual([true, true, false])
    expect(reports.state().waiting).toBe(2)
    isKafkaUp = true
    await vi.waitFor(() => expect(reports.state().waiting).toBe(0), { timeout: 5_000 })
    expect(published).toHaveLength(2)
    expect(await reports.take(report(3))).toBe(true)
  })
})

describe('the spool', () => {
  test('puts aside what cannot be read, and takes the rest', async () => {
    isKafkaUp = false
    const { reports } = await start()
    await reports.take(report())
    await reports.close()
    writeFileSync(
      join(folder.dir, 'spool', 'half.json'),
      readFileSync(join(folder.dir, 'spool', files()[0] ?? '')).subarray(9),
    )
    const again = await start()
    expect(again.found).toEqual([report()])
    expect(files().filter((name) => name.endsWith('.unreadable'))).toEqual(['half.json.unreadable'])
  })

  test('is for our eyes only', async () => {
    await start()
    chmodSync(join(folder.dir, 'spool'), 0o755)
    await expect(start()).rejects.toThrow('chmod 0700')
  })
})
