/** One server-sent event. */
export type ServerSentEvent = { event: string; data: string; id: string | undefined }

/** Reads events out of text that comes in pieces cut anywhere. Comments are skipped. */
export async function* parseEvents(pieces: AsyncIterable<string>): AsyncGenerator<ServerSentEvent> {
  let rest = ''
  let event = 'message'
  let data: string[] = []
  let id: string | undefined
  for await (const piece of pieces) {
    rest += piece
    // A CR at the end may be half of a CRLF.
    const lines = rest.split(/\r\n|\n|\r(?!$)/)
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) yield { event, data: data.join('\n'), id }
        event = 'message'
        data = []
        continue
      }
      const colon = line.indexOf(':')
      const field = colon < 0 ? line : line.slice(0, colon)
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
      if (field === 'event') event = value
      else if (field === 'data') data.push(value)
      else if (field === 'id') id = value
    }
  }
}
