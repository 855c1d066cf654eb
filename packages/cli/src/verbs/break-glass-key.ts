import type { Command } from 'commander'
import { EXIT } from '../exit-code.ts'
import { writeNewFile } from '../new-file.ts'
import type { AddVerb } from '../verb.ts'

export function addBreakGlassKey(verb: AddVerb, breakGlass: Command): void {
  verb<{ private: string; public: string }>(breakGlass, {
    usage: 'key',
    summary:
      'Make a key pair for break-glass tokens. The private half makes tokens, and belongs where nobody can use it alone; the public half is for control. Asks nobody.',
    example: 'rekey break-glass key --private break-glass.pem --public break-glass.jwks.json',
    exits: [EXIT.closed, EXIT.failed],
    options: (command) =>
      command
        .requiredOption('--private <file>', 'a new file for the private key (PEM), that only you can read')
        .requiredOption('--public <file>', 'a new file for CONTROL_BREAK_GLASS_KEYS_FILE (a JWK set)'),
    async run({ print }, _args, { private: pem, public: jwks }) {
      const { newKey } = await import('../break-glass.ts')
      const key = await newKey()
      writeNewFile(pem, key.privatePem)
      writeNewFile(jwks, `${JSON.stringify(key.publicSet, null, 2)}\n`)
      print({ private: pem, public: jwks, kid: key.kid }, `${pem} makes tokens; give ${jwks} to control`)
      return EXIT.closed
    },
  })
}
