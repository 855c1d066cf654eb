import { connect, type Socket } from 'node:net'

/** What came back: a whole answer, or why there is none. */
export type Answer = { status: number; body: string; gateway: string; tries: string } | { broken: string }

const HEAD_END = '\r\n\r\n'
const LENGTH = '\r\ncontent-length: '

/**
 * One connection that is kept, with one request on it at a time. It knows as much of HTTP as the balancer's answers need, because
 * the generator shares two processors with all that it measures.
 */
export class Connection {
  readonly #socket: Socket
  #rest = ''
  #answered: ((answer: Answer) => void) | undefined
  #askedAt = 0
  isOpen = true

  constructor(port: number, onClose: (connection: Connection) => void) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true })
    this.#socket.setEncoding('latin1')
    this.#socket.on('data', (chunk) => this.#read(String(chunk)))
    let why = 'closed'
    this.#socket.on('error', (error) => {
      why = error.message
    })
    this.#socket.on('close', () => {
      this.isOpen = false
      onClose(this)
      this.#end({ broken: why })
    })
  }

  /** Since when it waits for an answer; undefined: it does not. */
  get waitingSince(): number | undefined {
    return this.#answered && this.#askedAt
  }

  ask(request: string, answered: (answer: Answer) => void): void {
    this.#answered = answered
    this.#askedAt = performance.now()
    this.#socket.write(request, 'latin1')
  }

  close(): void {
    this.#socket.destroy()
  }

  #read(chunk: string): void {
    this.#rest = this.#rest === '' ? chunk : this.#rest + chunk
    const read = wholeAnswer(this.#rest)
    if (!read) return
    this.#rest = this.#rest.slice(read.length)
    this.#end(read.answer)
  }

  #end(answer: Answer): void {
    const answered = this.#answered
    this.#answered = undefined
    answered?.(answer)
  }
}

/** The first answer of a text and how long it is, as soon as it is whole. Of no use for one without a content-length. */
export function wholeAnswer(text: string): { answer: Answer; length: number } | undefined {
  const headEnd = text.indexOf(HEAD_END)
  if (headEnd < 0) return undefined
  const at = text.indexOf(LENGTH)
  if (at < 0 || at > headEnd) return { answer: { broken: 'an answer without a length' }, length: text.length }
  const from = at + LENGTH.length
  const start = headEnd + HEAD_END.length
  const end = start + Number(text.slice(from, text.indexOf('\r', from)))
  if (text.length < end) return undefined
  const answer = {
    status: Number(text.slice(9, 12)),
    body: text.slice(start, end),
    gateway: headerOf(text, headEnd, '\r\nx-gateway: '),
    tries: headerOf(text, headEnd, '\r\nx-tries: '),
  }
  return { answer, length: end }
}

export function headerOf(text: string, headEnd: number, name: string): string {
  const at = text.indexOf(name)
  return at < 0 || at > headEnd ? '' : text.slice(at + name.length, text.indexOf('\r', at + name.length))
}
