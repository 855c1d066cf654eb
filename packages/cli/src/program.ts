import { Command } from 'commander'
import { EXIT, type ExitCode } from './exit-code.ts'
import type { Terminal } from './terminal.ts'
import { verbAdder } from './verb.ts'
import { addApply } from './verbs/apply.ts'
import { addContain } from './verbs/contain.ts'
import { addDiff } from './verbs/diff.ts'
import { addEventSend } from './verbs/event-send.ts'
import { addExcuse } from './verbs/excuse.ts'
import { addExpedite } from './verbs/expedite.ts'
import { addHold } from './verbs/hold.ts'
import { addList } from './verbs/list.ts'
import { addNodeGone } from './verbs/node-gone.ts'
import { addNodeList } from './verbs/node-list.ts'
import { addNodeToken } from './verbs/node-token.ts'
import { addPause } from './verbs/pause.ts'
import { addPolicyTest } from './verbs/policy-test.ts'
import { addRecover } from './verbs/recover.ts'
import { addResume } from './verbs/resume.ts'
import { addRetire } from './verbs/retire.ts'
import { addRollback } from './verbs/rollback.ts'
import { addRotate } from './verbs/rotate.ts'
import { addRulesTest } from './verbs/rules-test.ts'
import { addShow } from './verbs/show.ts'
import { addVersion, ownVersion } from './verbs/version.ts'
import { addWatch } from './verbs/watch.ts'
import { addWho } from './verbs/who.ts'

/** All verbs. `result.exit` is what the verb that ran wants to exit with. */
export function buildProgram(terminal: Terminal): { program: Command; result: { exit: ExitCode } } {
  const result: { exit: ExitCode } = { exit: EXIT.closed }
  const program = new Command('rekey')
    .description('Rotate credentials without a failed request, and prove it.')
    .version(ownVersion(), '--version', 'show the version of this command line')
    .addHelpText(
      'after',
      [
        '',
        'Environment:',
        '  REKEY_URL         address of control (default http://127.0.0.1:7400)',
        '  REKEY_TOKEN_FILE  file with your token for control',
        '  KAFKA_BROKERS     for "event send": host:port, comma-separated',
        '  NO_COLOR          no colours, if set',
      ].join('\n'),
    )
  // Before any subcommand, which take these over from their parent.
  program.exitOverride().configureOutput({
    writeOut: (text) => terminal.out(text.trimEnd()),
    writeErr: (text) => terminal.err(text.trimEnd()),
  })
  program.showHelpAfterError('(--help says how to use it)')
  const verb = verbAdder(terminal, result)
  addApply(verb, program)
  addDiff(verb, program)
  addList(verb, program)
  addShow(verb, program)
  addWatch(verb, program)
  addWho(verb, program)
  addRotate(verb, program)
  addExpedite(verb, program)
  addContain(verb, program)
  addRetire(verb, program)
  addHold(verb, program)
  addPause(verb, program)
  addResume(verb, program)
  addRollback(verb, program)
  addExcuse(verb, program)
  addRecover(verb, program)
  addRulesTest(verb, program.command('rules').description('Try the rules'))
  addPolicyTest(verb, program.command('policy').description('Try the policies'))
  addEventSend(verb, program.command('event').description('Events that make credentials rotate'))
  const node = program.command('node').description('Serving nodes')
  addNodeList(verb, node)
  addNodeToken(verb, node)
  addNodeGone(verb, node)
  addVersion(verb, program)
  return { program, result }
}
