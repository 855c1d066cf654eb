import type { Command } from 'commander'
import { expect, test } from 'vitest'
import { MEANING } from '../src/exit-code.ts'
import { buildProgram } from '../src/program.ts'
import { givenCli } from './given-cli.ts'

const terminal = {
  out: () => {},
  err: () => {},
  input: async () => Buffer.of(),
  hiddenInput: async () => Buffer.of(),
  env: {},
  colour: false,
}

type Verb = { name: string; command: Command }

function verbsOf(command: Command, above = ''): Verb[] {
  return command.commands.flatMap((child) => {
    const name = `${above} ${child.name()}`.trim()
    return child.commands.length > 0 ? verbsOf(child, name) : [{ name, command: child }]
  })
}

const verbs = verbsOf(buildProgram(terminal).program)

test.each(verbs.map(({ name }) => name))(
  '%s --help says what it does, with an example and exit codes',
  async (name) => {
    const cli = await givenCli()
    const { exit, out } = await cli.rekey([...name.split(' '), '--help'])
    await cli.close()
    expect(exit).toBe(0)
    expect(out).toContain(`Usage: rekey ${name}`)
    expect(out).toContain('--json')
    expect(out).toMatch(/Example:\n {2}rekey /)
    expect(out).toMatch(/Exit codes:\n {2}0 {3}\S/)
  },
)

// One of them compiles Cedar.
test('the example of each verb can be parsed', { timeout: 30_000 }, async () => {
  const cli = await givenCli()
  for (const { name } of verbs) {
    const { out } = await cli.rekey([...name.split(' '), '--help'])
    const example = /Example:\n {2}rekey (.*)/.exec(out)?.[1] ?? ''
    const argv = [...example.matchAll(/"([^"]*)"|(\S+)/g)].map((m) => m[1] ?? m[2] ?? '')
    // Without a token nothing is asked; what commander does not understand it says itself.
    const offline = argv.map((word) => (/^break-glass\.|\.token$/.test(word) ? `/nothing/${word}` : word))
    const { err } = await cli.rekey([...offline, '--token-file', '/nothing'])
    expect(err, example).not.toContain('--help says how to use it')
  }
  await cli.close()
})

test('docs/reference/cli.md is up to date (vitest -u writes it)', async () => {
  const sections = verbs.flatMap(({ name, command }) => {
    const usage = command.usage().replace('[options]', '').trim()
    const help = helpOf(command)
    const options = command.options
      .filter(({ long }) => !COMMON.includes(long ?? ''))
      .map(
        ({ flags, description, defaultValue, mandatory }) =>
          `| \`${flags}\` | ${description}${mandatory ? ' (required)' : ''}${defaultValue === undefined ? '' : ` (default ${defaultValue})`} |`,
      )
    return [
      `## ${`rekey ${name} ${usage}`.trim()}`,
      '',
      command.description(),
      '',
      '```sh',
      help.example,
      '```',
      '',
      ...(options.length > 0 ? ['| Option | |', '| --- | --- |', ...options, ''] : []),
      `Exits with ${help.exits.join(', ')}.`,
      '',
    ]
  })
  const text = [
    '# The command line',
    '',
    '<!-- Written by packages/cli/test/cli-reference.unit.test.ts. Change the verbs, then run vitest with -u. -->',
    '',
    'In a checkout: `pnpm rekey <verb>`. Every verb has `--help`, and:',
    '',
    '| Option | |',
    '| --- | --- |',
    '| `--json` | Print JSON; a watch prints one object a line. Errors are JSON too, on stderr. |',
    '| `--url <url>` | Address of control; else `REKEY_URL`, else `http://127.0.0.1:7400`. |',
    '| `--token-file <file>` | File with your token for control, read for each request; else `REKEY_TOKEN_FILE`. It is the shared token, or one of your identity provider. |',
    '| `--actor <name>` | Who you are, recorded as `operator/<name>`; else your user name. It is believed as it is told, and of no meaning with a token of an identity provider. |',
    '',
    'Over https, files in PEM say whom to believe and who you are. They are read for each request, so they may be renewed meanwhile.',
    '',
    '| Environment | |',
    '| --- | --- |',
    "| `REKEY_CA_FILE` | The authority of control's certificate; it alone is believed then. Else the system's. |",
    '| `REKEY_CERT_FILE`, `REKEY_KEY_FILE` | Your client certificate, with its chain if there is one, and its private key, not encrypted: a way in where control has `CONTROL_TLS_CLIENT_CA_FILE`. No token is needed then; where there is one, the token counts. |',
    '',
    'Colours come only on a terminal, and not where `NO_COLOR` is set.',
    '',
    '| Exit code | Meaning |',
    '| --- | --- |',
    ...Object.entries(MEANING).map(([code, meaning]) => `| ${code} | ${meaning} |`),
    '',
    ...sections,
  ].join('\n')
  await expect(text).toMatchFileSnapshot('../../../docs/reference/cli.md')
})

const COMMON = ['--json', '--url', '--token-file', '--actor']

function helpOf(command: Command): { example: string; exits: string[] } {
  let text = ''
  command.configureOutput({
    writeOut: (part) => {
      text += part
    },
  })
  command.outputHelp()
  const [, example = '', codes = ''] = /Example:\n {2}(.*)\n\nExit codes:\n([\s\S]*)$/.exec(text) ?? []
  return { example, exits: [...codes.matchAll(/^ {2}(\d+)/gm)].map((m) => m[1] ?? '') }
}
