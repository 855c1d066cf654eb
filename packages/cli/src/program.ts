import { Command } from 'commander'
import { EXIT, type ExitCode } from './exit-code.ts'
import type { Terminal } from './terminal.ts'
import { verbAdder } from './verb.ts'
import { addAdopt } from './verbs/adopt.ts'
import { addApply } from './verbs/apply.ts'
import { addApprove } from './verbs/approve.ts'
import { addBreakGlassIssue } from './verbs/break-glass-issue.ts'
import { addBreakGlassKey } from './verbs/break-glass-key.ts'
import { addContain } from './verbs/contain.ts'
import { addDiff } from './verbs/diff.ts'
import { addDriftList } from './verbs/drift-list.ts'
import { addDriftLook } from './verbs/drift-look.ts'
import { addDriftSettle } from './verbs/drift-settle.ts'
import { addEventSend } from './verbs/event-send.ts'
import { addExcuse } from './verbs/excuse.ts'
import { addExpedite } from './verbs/expedite.ts'
import { addHold } from './verbs/hold.ts'
import { addInventoryScan } from './verbs/inventory-scan.ts'
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
        '  REKEY_CERT_FILE   file with your client certificate, another way in over https',
        '  REKEY_KEY_FILE    file with its private key',
        "  REKEY_CA_FILE     file with the authority of control's certificate, else the system's",
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
  addAdopt(verb, program)
  addRotate(verb, program)
  addExpedite(verb, program)
  addContain(verb, program)
  addRetire(verb, program)
  addHold(verb, program)
  addPause(verb, program)
  addResume(verb, program)
  addRollback(verb, program)
  addExcuse(verb, program)
  addApprove(verb, program)
  addRecover(verb, program)
  addInventoryScan(verb, program.command('inventory').description('What the backends hold'))
  const drift = program.command('drift').description('What somebody changed in a store by hand')
  addDriftList(verb, drift)
  addDriftLook(verb, drift)
  addDriftSettle(verb, drift)
  addRulesTest(verb, program.command('rules').description('Try the rules'))
  addPolicyTest(verb, program.command('policy').description('Try the policies'))
  addEventSend(verb, program.command('event').description('Events that make credentials rotate'))
  const node = program.command('node').description('Serving nodes')
  addNodeList(verb, node)
  addNodeToken(verb, node)
  addNodeGone(verb, node)
  const breakGlass = program
    .command('break-glass')
    .description('Tokens for when the identity provider is down')
  addBreakGlassKey(verb, breakGlass)
  addBreakGlassIssue(verb, breakGlass)
  addVersion(verb, program)
  return { program, result }
}
