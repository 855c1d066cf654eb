import type { Command } from 'commander'
import { Complaint } from '../complaint.ts'
import { parseDuration } from '../duration.ts'
import { EXIT } from '../exit-code.ts'
import type { AddVerb } from '../verb.ts'
import { holdGraceMs, type WaitOptions, waitOptions } from '../wait.ts'

type SendOptions = WaitOptions & { emitter: string }

export function addEventSend(verb: AddVerb, event: Command): void {
  verb<SendOptions>(event, {
    usage: 'send <event>',
    summary:
      'Send an event over Kafka (KAFKA_BROKERS), and with --wait learn what came of it. The file holds a CloudEvent; - is stdin.',
    example: 'rekey event send examples/events/zonechanged.json --emitter demo --wait',
    exits: [EXIT.closed, EXIT.noRotation, EXIT.rolledBack, EXIT.held, EXIT.timeout, EXIT.failed],
    options: (command) =>
      waitOptions(command.option('--emitter <name>', 'whose topic: rekey.changes.<name>.v1', 'demo')),
    async run(run, [file = ''], options) {
      const limits = holdGraceMs(options)
      const timeoutMs = parseDuration(options.timeout)
      if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(options.emitter))
        throw new Complaint(
          'bad_usage',
          `"${options.emitter}" is no emitter's name`,
          'Use letters, digits and dashes.',
        )
      // Loaded when it is needed, as the documents of apply are: no other verb reads events.
      const { sendEvent } = await import('../event-sending.ts')
      return sendEvent(run, file, options.emitter, options.wait ? { timeoutMs, ...limits } : undefined)
    },
  })
}
