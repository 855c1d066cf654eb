import type { Command } from 'commander'
import { Complaint } from '../complaint.ts'
import { parseDuration } from '../duration.ts'
import { EXIT } from '../exit-code.ts'
import { type WhyOptions, whyOf, whyOptions } from '../reason.ts'
import type { AddVerb } from '../verb.ts'

type PauseOptions = WhyOptions & { for?: string; end?: true; all?: true }

export function addPause(verb: AddVerb, program: Command): void {
  verb<PauseOptions>(program, {
    usage: 'pause [credential]',
    summary:
      'Let no routine rotation of a credential go on for a while. What is under way is held where it is, what opens is held at its start, and both go on by themselves. Emergencies ask for no pause.',
    example: 'rekey pause chat-gateway-key --for 4h --reason "launch day"',
    exits: [EXIT.closed, EXIT.failed],
    options: (command) =>
      whyOptions(command)
        .option('--for <duration>', 'how long; said again, the later word counts')
        .option('--end', 'end it now')
        .option('--all', 'every credential'),
    async run({ client, print }, [credential], options) {
      const { for: duration, end, all } = options
      if ((credential === undefined) !== (all === true))
        throw new Complaint('bad_usage', 'pause what?', 'Name one credential, or say --all.')
      if ((duration === undefined) !== (end === true))
        throw new Complaint('bad_usage', 'for how long?', 'Say --for DURATION, or --end.')
      const many = (names: string[]) => (names.length === 1 ? names[0] : `${names.length} credentials`)
      if (duration === undefined) {
        const ended = await client.endPause(credential, whyOf(options))
        print(ended, `routine rotations of ${many(ended.credentials)} go on`)
      } else {
        const paused = await client.pause(credential, whyOf(options), parseDuration(duration))
        print(paused, `no routine rotation of ${many(paused.credentials)} goes on until ${paused.until}`)
      }
      return EXIT.closed
    },
  })
}
