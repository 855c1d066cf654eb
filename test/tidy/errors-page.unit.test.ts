import { ERRORS } from '@rekey/contracts'
import { expect, test } from 'vitest'
import { exists, explain, read } from './repository.ts'

const PAGE = 'docs/reference/errors.md'

const page = () =>
  [
    '# Errors',
    '',
    '<!-- Written by test/tidy/errors-page.unit.test.ts from packages/contracts/src/errors.ts: change that, then run vitest with -u. -->',
    '',
    'An error of Rekey has one of these codes: in a hold, in an answer of control, in a log. *Retried* means that the same',
    'call may succeed later without anybody doing anything: the ledger repeats the step with a growing pause, and from the',
    'fifth attempt on the rotation says so with a hold, while it goes on trying. Any other error of a step holds the rotation',
    'at once, until `rekey resume` (which tries the step again) or `rekey rollback`.',
    '',
    '| code | retried | what to do |',
    '| --- | --- | --- |',
    ...Object.entries(ERRORS).map(
      ([code, { retryable, remedy }]) => `| \`${code}\` | ${retryable ? 'yes' : 'no'} | ${remedy} |`,
    ),
    '',
  ].join('\n')

test('every error code is documented, and every documented code exists', () => {
  const documented = exists(PAGE)
    ? [...read(PAGE).matchAll(/^\| `(\w+)` \|/gm)].map((match) => match[1] ?? '')
    : []
  const wrong = [
    ...Object.keys(ERRORS)
      .filter((code) => !documented.includes(code))
      .map((code) => `${code} is not in ${PAGE}`),
    ...documented.filter((code) => !(code in ERRORS)).map((code) => `${code} is in ${PAGE} only`),
  ]
  expect(wrong, explain('The catalogue and its page differ: run vitest with -u.', wrong)).toEqual([])
})

test(`${PAGE} is up to date (vitest -u writes it)`, async () => {
  await expect(page()).toMatchFileSnapshot(`../../${PAGE}`)
})
