import { expect, test } from 'vitest'
import { decoded, encoded, RedisError } from './resp.ts'

test('a command is lengths in bytes, and parts that are not looked at', () => {
  expect(encoded(['SET', 'ü', '\r\n'])).toBe('*3\r\n$3\r\nSET\r\n$2\r\nü\r\n$2\r\n\r\n\r\n')
})

const NESTED = '*3\r\n$2\r\nü\r\n*2\r\n:7\r\n$-1\r\n+OK\r\n'

test('a reply is read where it is complete, and not before', () => {
  const bytes = Buffer.from(`${NESTED}*-1\r\n`)
  const first = decoded(bytes)
  expect(first?.reply).toEqual(['ü', [7, null], 'OK'])
  expect(decoded(bytes, first?.next)).toEqual({ reply: null, next: bytes.length })
  const whole = Buffer.from(NESTED)
  for (let length = 0; length < whole.length; length += 1)
    expect(decoded(whole.subarray(0, length))).toBeUndefined()
})

test('of a refusal only the first word is kept', () => {
  const { reply } = decoded(Buffer.from('-WRONGPASS planted text\r\n')) ?? {}
  expect(reply).toBeInstanceOf(RedisError)
  expect(JSON.stringify([reply, String(reply)])).not.toContain('planted')
  expect((reply as RedisError).word).toBe('WRONGPASS')
  const full = decoded(Buffer.from('-ERR max number of clients reached\r\n'))?.reply as RedisError
  expect([full.word, full.meaning]).toEqual(['ERR', 'full'])
})

test('what is no reply is an error', () => {
  expect(() => decoded(Buffer.from('HTTP/1.1 400\r\n'))).toThrow('PROTOCOL')
})
