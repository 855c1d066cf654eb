import { connect } from 'node:net'
import { nowMs } from '../../fleet/clock.ts'
import { headerOf } from './connection.ts'
import type { KeptKey } from './keys.ts'

/** A stream that did not come to its end. `gateway`: empty where no gateway had begun to answer. */
export type Cut = { gateway: string; startedAtMs: number; endedAtMs: number; seen: string }

const HEAD_END = '\r\n\r\n'

/** So many streams at once, one after the other, until stopped. */
export function startStreams(options: { port: number; count: number; ms: number; keys: KeptKey[] }) {
  let isOver = false
  let whole = 0
  const cuts: Cut[] = []
  const one = async (index: number) => {
    // Not all at the same moment.
    await new Promise((go) => setTimeout(go, (index * options.ms) / options.count))
    while (!isOver) {
      const key = await new Promise<string>((present) =>
        options.keys[index % options.keys.length]?.use(({ value }) => present(value)),
      )
      const cut = await follow(options.port, options.ms, key)
      if (cut) cuts.push(cut)
      else whole += 1
    }
  }
  const running = Array.from({ length: options.count }, (_, index) => one(index))
  return {
    async stop(): Promise<{ whole: number; cuts: Cut[] }> {
      isOver = true
      await Promise.all(running)
      return { whole, cuts }
    },
  }
}

/** Undefined: it came to its end. */
function follow(port: number, ms: number, key: string): Promise<Cut | undefined> {
  return new Promise((resolve) => {
    const startedAtMs = nowMs()
    let text = ''
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    socket.setEncoding('latin1')
    socket.on('connect', () =>
      socket.write(
        `GET /stream/${ms} HTTP/1.1\r\nhost: front\r\nauthorization: Bearer ${key}\r\nconnection: close\r\n\r\n`,
      ),
    )
    socket.on('data', (chunk) => {
      text += String(chunk)
    })
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      const isWhole =
        text.startsWith('HTTP/1.1 200') && text.includes('data: [DONE]') && text.endsWith('0\r\n\r\n')
      const gateway = headerOf(text, Math.max(0, text.indexOf(HEAD_END)), '\r\nx-gateway: ')
      const seen = text.split('\r\n')[0] ?? ''
      resolve(isWhole ? undefined : { gateway, startedAtMs, endedAtMs: nowMs(), seen })
    })
  })
}
