import { createServer, type Socket } from 'node:net'
import { serve } from '../nodes/calls.ts'

/**
 * The model server behind the gateways, as small as it can be, so that the processors are left to what is measured. It answers
 * `/echo/N` with N, a stream with a token each 250 ms, and all else with `{}`. Requests have no body.
 */

const TOKEN_MS = 250
const HEAD_END = '\r\n\r\n'

export type ModelCalls = { listen: (argument: undefined) => Promise<number> }

function answerOn(socket: Socket): void {
  let rest = ''
  socket.setNoDelay(true)
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk) => {
    rest += chunk.toString('latin1')
    for (let end = rest.indexOf(HEAD_END); end >= 0; end = rest.indexOf(HEAD_END)) {
      // `GET /echo/17 HTTP/1.1`
      const path = rest.slice(rest.indexOf(' ') + 1, rest.indexOf(' HTTP/'))
      rest = rest.slice(end + HEAD_END.length)
      if (path.startsWith('/stream/')) stream(socket, Number(path.slice('/stream/'.length)))
      else socket.write(whole(path.startsWith('/echo/') ? path.slice('/echo/'.length) : '{}'))
    }
  })
}

const whole = (body: string) =>
  `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: ${body.length}\r\n\r\n${body}`

function stream(socket: Socket, ms: number): void {
  const say = (text: string) => socket.write(`${text.length.toString(16)}\r\n${text}\r\n`)
  socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n')
  let left = Math.ceil(ms / TOKEN_MS)
  const timer = setInterval(() => {
    say('data: token\n\n')
    if (--left > 0) return
    clearInterval(timer)
    say('data: [DONE]\n\n')
    socket.write('0\r\n\r\n')
  }, TOKEN_MS)
  socket.on('close', () => clearInterval(timer))
}

serve({
  listen: () =>
    new Promise<number>((resolve, reject) => {
      const server = createServer(answerOn)
      server.on('error', reject)
      server.listen(0, '127.0.0.1', () => {
        const address = server.address()
        resolve(typeof address === 'object' && address ? address.port : 0)
      })
    }),
} satisfies ModelCalls)
