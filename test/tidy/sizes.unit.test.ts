import { expect, test } from 'vitest'
import { explain, handwritten } from './repository.ts'

/** Past this a file probably has a second job: protocol, retry, state, types. */
const LOOK_AT = 400
const TOO_LONG = 600

test(`no source file is longer than ${TOO_LONG} lines`, () => {
  const long = handwritten()
    .filter(({ path }) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
    .map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
    .filter(({ lines }) => lines > LOOK_AT)
  const say = ({ path, lines }: (typeof long)[number]) => `${path}: ${lines} lines`
  if (long.length > 0)
    process.stderr.write(explain(`Longer than ${LOOK_AT} lines; is there a second job in it?`, long.map(say)))
  const bad = long.filter(({ lines }) => lines > TOO_LONG).map(say)
  expect(bad, explain('Split these by what they do.', bad)).toEqual([])
})
