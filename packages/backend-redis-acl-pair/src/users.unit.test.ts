import { expect, test } from 'vitest'
import { sessionsIn } from './users.ts'

// As Valkey 9.1 answers, shortened.
const LIST = `id=3 addr=127.0.0.1:5 name= age=1 cmd=get user=shop_a lib-name=
id=4 addr=127.0.0.1:6 name=web age=1 cmd=get user=shop_a lib-name=
id=5 addr=127.0.0.1:7 name=rekey-try age=0 cmd=hello user=shop_a lib-name=
id=6 addr=127.0.0.1:8 name=web age=1 cmd=get user=shop_ab lib-name=
`

test('sessions are those of exactly this user, and our own tries are told apart', () => {
  const sessions = sessionsIn(LIST, 'rekey-try')
  expect(sessions.get('shop_a')).toEqual([
    { id: '3', isTry: false },
    { id: '4', isTry: false },
    { id: '5', isTry: true },
  ])
  expect(sessions.get('shop_ab')).toHaveLength(1)
  expect(sessions.has('shop')).toBe(false)
})
