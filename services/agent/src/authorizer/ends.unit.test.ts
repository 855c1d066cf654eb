import { expect, test } from 'vitest'
import { endIn } from './ends.ts'

const ID = '0123456789abcdef0123456789abcdef'

test.each([
  [
    'with its key',
    `<190>Nov 22 18:00:00 rekey: chat.g3 ${ID}`,
    { request: ID, keyId: 'chat.g3', status: undefined },
  ],
  [
    'with its status',
    `<190>Nov 22 18:00:00 rekey: 502 chat.g3 ${ID}`,
    { request: ID, keyId: 'chat.g3', status: 502 },
  ],
  [
    'without a key',
    `<190>Nov 22 18:00:00 rekey: 401  ${ID}\n`,
    { request: ID, keyId: undefined, status: 401 },
  ],
  ['of nothing', '<190>Nov 22 18:00:00 rekey: hello', undefined],
  ['with a shorter id', `rekey: chat.g3 ${ID.slice(1)}`, undefined],
  ['empty', '', undefined],
])('a line %s', (_what, line, end) => {
  expect(endIn(line)).toEqual(end)
})
