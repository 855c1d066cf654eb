import type { Command } from 'commander'
import { Complaint } from '../complaint.ts'
import { parseDuration } from '../duration.ts'
import { EXIT } from '../exit-code.ts'
import { writeNewFile } from '../new-file.ts'
import type { AddVerb } from '../verb.ts'

/** Who has left since should not hold one for ever. */
const VALID_MS_MAX = 366 * 86_400_000

export function addBreakGlassIssue(verb: AddVerb, breakGlass: Command): void {
  verb<{ key: string; person: string; for: string; out: string }>(breakGlass, {
    usage: 'issue',
    summary:
      'Make a sealed token for one person. It works without the identity provider; its first use is recorded as a finding and starts its hour. Asks nobody.',
    example: 'rekey break-glass issue --key break-glass.pem --person ana --for 180d --out ana.token',
    exits: [EXIT.closed, EXIT.failed],
    options: (command) =>
      command
        .requiredOption('--key <file>', 'the private key of `break-glass key`')
        .requiredOption('--person <name>', 'whom it is for, by the name that their other ways in give them')
        .option('--for <duration>', 'until when it can be used first', '180d')
        .requiredOption('--out <file>', 'a new file for the token, that only you can read'),
    async run({ print }, _args, { key, person, for: duration, out }) {
      if (!/^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/.test(person))
        throw new Complaint(
          'bad_usage',
          `"${person}" cannot be recorded as a name`,
          'Give --person with letters, digits and . _ @ - (at most 64).',
        )
      const forMs = parseDuration(duration)
      if (forMs > VALID_MS_MAX)
        throw new Complaint('bad_usage', `${duration} is longer than a year`, 'Make a new one each year.')
      const { issueToken } = await import('../break-glass.ts')
      const { token, id, expiresAt } = await issueToken(key, person, forMs)
      writeNewFile(out, token)
      print({ id, person, file: out, expiresAt }, `${out} is for ${person}, sealed, until ${expiresAt}`)
      return EXIT.closed
    },
  })
}
