import { expect, test } from 'vitest'
import { explain, findings, handwritten, type SourceFile } from './repository.ts'

/** Words that must not be in the repository, written so that this file does not hold them. */

const files = handwritten()

function absent(rule: string, pattern: RegExp, wanted: (file: SourceFile) => boolean = () => true) {
  const places = files.filter(wanted).flatMap((file) => findings(file, pattern))
  expect(places, explain(rule, places)).toEqual([])
}

const word = (...parts: string[]) => parts.join('')

test('nothing is put off in a comment', () => {
  const marks = [word('TO', 'DO'), word('FIX', 'ME'), word('X', 'XX'), word('HA', 'CK')]
  absent(
    'Do it now, or open an issue and say in plain words what is not done.',
    new RegExp(`\\b(${marks.join('|')})\\b`),
  )
})

test('no test is left out or run alone', () => {
  absent(
    'Every test runs. A test that cannot run somewhere calls skip() with its reason.',
    new RegExp(`\\b(test|it|describe)\\.(${word('on', 'ly')}|${word('sk', 'ip')}|${word('to', 'do')})\\b`),
    ({ path }) => path.endsWith('.ts'),
  )
})

test('no path of one machine', () => {
  const folders = ['work', 'root', 'home', 'Users'].join('|')
  absent(
    'Paths are made at run time (import.meta.url, mkdtemp) or are relative.',
    new RegExp(`(?<![\\w.}/-])/(${folders})/|(?<![\\w/])/${word('t', 'mp')}/\\w`),
  )
})

test('no host of a package registry', () => {
  const known = [
    ['registry', 'npmjs', 'org'],
    ['pypi', 'org'],
    ['files', 'pythonhosted', 'org'],
    ['proxy', 'golang', 'org'],
    ['sum', 'golang', 'org'],
    ['repo', 'maven', 'apache', 'org'],
    ['repo1', 'maven', 'org'],
  ].map((labels) => labels.join('.'))
  absent(
    "Which registry is used is the machine's business: npm, pip, Go and Maven read it from their own settings.",
    new RegExp([...known, ...configured()].map((host) => host.replaceAll('.', '\\.')).join('|')),
  )
})

/** The mirrors that this machine is set to use. */
function configured(): string[] {
  const settings = ['npm_config_registry', 'PIP_INDEX_URL', 'GOPROXY']
  return settings
    .flatMap((name) => (process.env[name] ?? '').split(/[,|]/))
    .flatMap((text) => (URL.canParse(text) ? [new URL(text).hostname] : []))
    .filter((host) => host !== '' && host !== 'localhost' && !/^127\./.test(host))
}
