import type { Command } from 'commander'
import type { JudgementAnswer } from '../control-answers.ts'
import { EXIT } from '../exit-code.ts'
import { plain } from '../terminal.ts'
import type { AddVerb } from '../verb.ts'

export function addRulesTest(verb: AddVerb, rules: Command): void {
  verb(rules, {
    usage: 'test <event>',
    summary:
      'Say what an event would do now, by which rule, without doing it. The file holds a CloudEvent; - is stdin.',
    example: 'rekey rules test examples/events/zonechanged.json',
    exits: [EXIT.closed, EXIT.noRotation, EXIT.failed],
    async run({ client, terminal, print }, [file = '']) {
      const { readEvent } = await import('../event-file.ts')
      const { json } = await readEvent(file, terminal)
      const answer = await client.testRules(json)
      print(answer, plain(render(answer)))
      return answer.judgement === 'rotate' ? EXIT.closed : EXIT.noRotation
    },
  })
}

function render({ judgement, reason, differences, matches }: JudgementAnswer): string {
  return [
    `${judgement}: ${reason}`,
    ...differences.map(({ field, was, is }) => `  ${field}: ${was ?? '(unknown)'} → ${is}`),
    ...matches.map(({ rule, credential, openRotation }) => {
      const beside =
        openRotation === null ? '' : ` (${openRotation} is under way: it would join or follow it)`
      return `  rule ${rule} rotates ${credential}${beside}`
    }),
  ].join('\n')
}
