import { connect, type Socket } from 'node:net'
import { nowMs } from '../../fleet/clock.ts'
import type { Place } from '../../fleet/doors.ts'

export type Answer = { accepted: boolean; at: number }

/**
 * Knocks at many doors with one value: plain HTTP/1.1, many requests on one connection without waiting for each answer,
 * so that who measures is not what is measured.
 */
export class Knocks {
  readonly #value: string
  readonly #lines = new Map<number, Line>()

  constructor(value: string) {
    this.#value = value
  }

  async at(places: readonly Place[]): Promise<Answer[]> {
    const answers: Promise<Answer>[] = []
    const byPort = Map.groupBy(places.keys(), (index) => places[index]?.port ?? 0)
    for (const [port, indices] of byPort) {
      const line = this.#lines.get(port) ?? new Line(port)
      this.#lines.set(port, line)
      const asked = line.ask(indices.map((index) => requestFor(places[index]?.name ?? '', this.#value)))
      for (const [turn, answer] of asked.entries()) answers[indices[turn] ?? 0] = answer
    }
    return Promise.all(answers)
  }

  close(): void {
    for (const line of this.#lines.values()) line.close()
  }
}

const requestFor = (name: string, value: string) =>
  `GET /${name}/v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${value}\r\n\r\n`

const END_OF_HEAD = '\r\n\r\n'

/** One connection. Answers come in the order of the requests, and have no body. */
class Line {
  readonly #socket: Socket
  readonly #waiting: PromiseWithResolvers<Answer>[] = []
  #rest = ''

  constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true })
    this.#socket.setEncoding('latin1')
    this.#socket.on('data', (text) => this.#read(String(text)))
    const fail = (error?: Error) => {
      for (const { reject } of this.#waiting.splice(0))
        reject(error ?? new Error('a door closed its connection'))
    }
    this.#socket.on('error', fail)
    this.#socket.on('close', () => fail())
  }

  ask(requests: string[]): Promise<Answer>[] {
    const asked = requests.map(() => Promise.withResolvers<Answer>())
    this.#waiting.push(...asked)
    this.#socket.write(requests.join(''))
    return asked.map(({ promise }) => promise)
  }

  close(): void {
    this.#socket.destroy()
  }

  #read(text: string): void {
    const at = nowMs()
    const heads = (this.#rest + text).split(END_OF_HEAD)
    this.#rest = heads.pop() ?? ''
    for (const head of heads) {
      const status = head.slice('HTTP/1.1 '.length, 'HTTP/1.1 '.length + 3)
      const asked = this.#waiting.shift()
      if (status === '200' || status === '401') asked?.resolve({ accepted: status === '200', at })
      else asked?.reject(new Error(`a door answered ${status}`))
    }
  }
}
