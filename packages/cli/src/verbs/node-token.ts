import type { Command } from 'commander'
import { parseDuration } from '../duration.ts'
import { EXIT } from '../exit-code.ts'
import { writeNewFile } from '../new-file.ts'
import type { AddVerb } from '../verb.ts'

export function addNodeToken(verb: AddVerb, node: Command): void {
  verb<{ workload: string; ttl: string; out?: string }>(node, {
    usage: 'token <node>',
    summary: 'Make a join token, which enrols one node once. It is shown here and never again.',
    example: 'rekey node token gateway-1 --workload chat-gateway --out gateway-1.token',
    exits: [EXIT.closed, EXIT.failed],
    options: (command) =>
      command
        .requiredOption('--workload <name>', 'the workload that the node serves')
        .option('--ttl <duration>', 'how long it may be used', '15m')
        .option('--out <file>', 'write it to a new file that only you can read, instead of showing it'),
    async run({ client, terminal, print }, [name = ''], { workload, ttl, out }) {
      const { token, expiresAt } = await client.createNodeToken(name, workload, parseDuration(ttl))
      if (out === undefined) {
        print({ node: name, token, expiresAt }, token)
        terminal.err(`enrols ${name} once, until ${expiresAt}`)
        return EXIT.closed
      }
      writeNewFile(out, token)
      print({ node: name, file: out, expiresAt }, `${out} enrols ${name} once, until ${expiresAt}`)
      return EXIT.closed
    },
  })
}
