import type { Command } from 'commander'
import { deadline } from '../deadline.ts'
import { parseDuration } from '../duration.ts'
import { EXIT } from '../exit-code.ts'
import type { AddVerb, Run } from '../verb.ts'
import { waitFor } from '../wait.ts'
import { isUnknown, unknownName } from './show.ts'

export function addWatch(verb: AddVerb, program: Command): void {
  verb<{ timeout?: string; holdGrace?: string }>(program, {
    usage: 'watch <name>',
    summary:
      'Watch a rotation, or the one under way of a credential, until it ends. Holds are shown and waited out.',
    example: 'rekey watch chat-gateway-key',
    exits: [EXIT.closed, EXIT.noRotation, EXIT.rolledBack, EXIT.held, EXIT.timeout, EXIT.failed],
    options: (command) =>
      command
        .option('--timeout <duration>', 'the longest wait (default: none)')
        .option('--hold-grace <duration>', 'end the wait when a hold lasts so long (default: wait on)'),
    async run(run, [name = ''], options) {
      const { timeout, holdGrace } = options
      const grace = holdGrace === undefined ? {} : { holdGraceMs: parseDuration(holdGrace) }
      const timeoutMs = timeout === undefined ? undefined : parseDuration(timeout)
      const rotation = await rotationOf(run, name)
      if (rotation === undefined) {
        run.print({ type: 'end', end: 'no-rotation' }, `no rotation of ${name} is under way`)
        return EXIT.noRotation
      }
      const end = deadline(timeoutMs)
      try {
        const started = { rotation, credential: name, how: 'opened' as const }
        return await waitFor(run, [started], { signal: end.signal, ...grace })
      } catch (error) {
        throw isUnknown(error) ? unknownName(name) : error
      } finally {
        end.clear()
      }
    },
  })
}

/** Undefined: it is a credential, and none is under way. */
async function rotationOf({ client }: Run, name: string): Promise<string | undefined> {
  try {
    return (await client.credential(name)).openRotation ?? undefined
  } catch (error) {
    // No credential, so a rotation: its watch says so if it is none either.
    if (isUnknown(error)) return name
    throw error
  }
}
