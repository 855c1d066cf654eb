import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { readIfPresent, writeDurably } from '@rekey/runtime'
import { z } from 'zod'
import { processOf, send } from './pid-file.ts'
import { runQuietly } from './quiet-command.ts'

/** What makes software read its files again. Nothing of what is in them is in it, nor does the command find it elsewhere. */
export const afterChange = z.union([
  z.strictObject({
    signal: z.enum(['HUP', 'USR1', 'USR2']),
    pidFile: z.string().min(1),
  }),
  z.strictObject({
    /** Run as it is, without a shell. */
    command: z
      .array(z.string())
      .min(1)
      .refine(([program]) => program?.startsWith('/'), 'name the program by its whole path'),
    timeoutMs: z.number().int().min(100).max(60_000).default(10_000),
  }),
])
export type AfterChange = z.infer<typeof afterChange>

export async function perform(after: AfterChange): Promise<void> {
  if ('command' in after) return runQuietly(after.command, after.timeoutMs)
  const signal = `SIG${after.signal}` as const
  await send((await processOf(after.pidFile, signal)).pid, signal)
}

export const resolvedAfter = (after: AfterChange, at: (path: string) => string): AfterChange =>
  'command' in after ? after : { ...after, pidFile: at(after.pidFile) }

export const markerOf = (path: string) => `${path}.applied`

/**
 * Remembers beside a file which content the software was told of: a digest, so that who reads it learns no value. An agent that was
 * killed between the two finds no mark, and tells the software again.
 */
export function markOf(path: string) {
  const marker = markerOf(path)
  return {
    async isSet(content: string): Promise<boolean> {
      return (await readIfPresent(marker)) === lineOf(content)
    },
    set: (content: string) => writeDurably(marker, lineOf(content)),
    /** Before the file changes: a change that is taken back later would else look as if nobody had been told of it. */
    clear: () => rm(marker, { force: true }),
  }
}

const lineOf = (content: string) => `${createHash('sha256').update(content).digest('hex')}\n`
