import { expect, test } from 'vitest'
import { parseEvents } from '../src/sse.ts'

const TEXT =
  ': hello\n\nid: 7\nevent: journal\ndata: {"a":\ndata: 1}\n\r\ndata:x\r\n\r\nevent: empty\n\nevent: end\ndata\n\ndata: cut off'

async function* pieces(text: string, size: number) {
  for (let at = 0; at < text.length; at += size) yield text.slice(at, at + size)
}

test.each([1, 2, 3, 7, 1000])('events come out whole from pieces of %i characters', async (size) => {
  const events = []
  for await (const event of parseEvents(pieces(TEXT, size))) events.push(event)
  expect(events).toEqual([
    { event: 'journal', data: '{"a":\n1}', id: '7' },
    { event: 'message', data: 'x', id: '7' },
    { event: 'end', data: '', id: '7' },
  ])
})
