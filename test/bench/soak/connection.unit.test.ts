import { expect, test } from 'vitest'
import { wholeAnswer } from './connection.ts'

const HEAD = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-gateway: nginx\r\nx-tries: +1\r\n\r\n'

test('an answer is whole when its last byte is there, whatever comes behind it', () => {
  expect(wholeAnswer(HEAD.slice(0, -1))).toBeUndefined()
  expect(wholeAnswer(`${HEAD}1`)).toBeUndefined()
  expect(wholeAnswer(`${HEAD}17HTTP/1.1 401`)).toEqual({
    answer: { status: 200, body: '17', gateway: 'nginx', tries: '+1' },
    length: HEAD.length + 2,
  })
})

test('a length that stands in the body is none', () => {
  const text = 'HTTP/1.1 200 OK\r\nserver: x\r\n\r\n\r\ncontent-length: 2\r\n'
  expect(wholeAnswer(text)?.answer).toEqual({ broken: 'an answer without a length' })
})
