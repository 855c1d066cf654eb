import { PassThrough } from 'node:stream'
import { expect, test, vi } from 'vitest'
import { onePaste } from '../src/terminal.ts'

/** A terminal's keyboard. */
function given() {
  const raw: boolean[] = []
  const stdin = Object.assign(new PassThrough(), { setRawMode: (on: boolean) => raw.push(on) })
  vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  const pasted = onePaste(stdin as unknown as NodeJS.ReadStream, 'Paste: ').then((bytes) =>
    Buffer.from(bytes).toString(),
  )
  return { raw, stdin, pasted }
}

test('a paste that comes in pieces is one, though a piece ends with a line, and raw mode outlives all of it', async () => {
  const { raw, stdin, pasted } = given()
  stdin.write('line one\r')
  await new Promise((resolve) => setTimeout(resolve, 30))
  expect(raw).toEqual([true])
  stdin.write('API_KEY=secret\r')
  expect(await pasted).toBe('line one\rAPI_KEY=secret\r')
  expect(raw).toEqual([true, false])
})

test.each([
  ['a line feed', 'key\n', 'key\n'],
  ['Ctrl-D', 'key\u0004', 'key'],
  ['a correction', 'kex\u007fy\r', 'key\r'],
])('ends with %s', async (_, typed, read) => {
  const { stdin, pasted } = given()
  stdin.write(typed)
  expect(await pasted).toBe(read)
})

test('Ctrl-C asks nothing', async () => {
  const { raw, stdin, pasted } = given()
  stdin.write('half a ke\u0003')
  await expect(pasted).rejects.toThrow('nothing was asked')
  expect(raw).toEqual([true, false])
})
