import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { RekeyError } from '@rekey/contracts'
import { type Logger, writeDurably } from '@rekey/runtime'
import { Report } from './report.ts'

/** Reports on disk, so that a crash or a Kafka that is away loses none that was answered with 202. */
export type Spool = {
  /** What the last process left behind. */
  found: Report[]
  /** Durable when it returns. False: the spool is full. */
  put(report: Report): Promise<boolean>
  remove(report: Report): Promise<void>
}

/** The same delivery has the same name, so that it is there once. */
export function nameOf({ origin, emitter }: Report): string {
  return createHash('sha256')
    .update(JSON.stringify([emitter, origin.source, origin.name]))
    .digest('hex')
}

export async function openSpool(dir: string, reportsMax: number, logger: Logger): Promise<Spool> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const { mode } = await stat(dir)
  if ((mode & 0o077) !== 0)
    throw new RekeyError('invalid_configuration', `the spool ${dir} is open to others: chmod 0700`)
  const found: Report[] = []
  for (const file of await readdir(dir)) {
    if (!file.endsWith('.json')) continue
    const report = parse(await readFile(join(dir, file), 'utf8'))
    if (report) found.push(report)
    else {
      logger.error({ file }, 'a report in the spool cannot be read; it is put aside')
      await rename(join(dir, file), join(dir, `${file}.unreadable`))
    }
  }
  /** Of what is there, and of what is being written: a repeat waits for the same write. */
  const written = new Map<string, Promise<void>>(found.map((report) => [nameOf(report), Promise.resolve()]))
  return {
    found,
    async put(report) {
      const name = nameOf(report)
      if (!written.has(name) && written.size >= reportsMax) return false
      const writing = written.get(name) ?? writeDurably(join(dir, `${name}.json`), JSON.stringify(report))
      written.set(name, writing)
      try {
        await writing
      } catch (error) {
        written.delete(name)
        const why = error instanceof Error && 'code' in error ? String(error.code) : 'failed'
        throw new RekeyError('backend_unavailable', `cannot write to the spool ${dir}: ${why}`)
      }
      return true
    },
    /** Without fsync: a report that comes back after a power loss is sent again, which is harmless. */
    async remove(report) {
      const name = nameOf(report)
      await rm(join(dir, `${name}.json`), { force: true })
      written.delete(name)
    },
  }
}

function parse(text: string): Report | undefined {
  try {
    return Report.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}
