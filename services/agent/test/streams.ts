import { setTimeout as sleep } from 'node:timers/promises'
import { until } from './until.ts'

/**
 * Clients of an OpenAI-style endpoint, each of which streams one answer of so many `words` after the other. An answer is whole
 * when the server's own count is complete and its last line is there.
 */
export function startStreams(options: { url: string; count: number; words: number; key: () => string }) {
  const running = new Set<{ key: string; hasBegun: boolean }>()
  const broken: string[] = []
  let whole = 0
  let going = true

  async function stream(): Promise<void> {
    const one = { key: options.key(), hasBegun: false }
    running.add(one)
    try {
      const response = await fetch(`${options.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${one.key}`, 'content-type': 'application/json' },
        body: JSON.stringify({
          messages: [{ role: 'user', content: 'say something' }],
          max_tokens: options.words,
          ignore_eos: true,
          stream: true,
          stream_options: { include_usage: true },
        }),
      })
      if (!response.ok) throw new Error(`answered ${response.status}`)
      let text = ''
      for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        text += chunk
        one.hasBegun = true
      }
      const lines = text.trimEnd().split('\n\n')
      if (lines.pop() !== 'data: [DONE]') throw new Error(`ends with ${text.slice(-80)}`)
      const { usage } = JSON.parse(lines.pop()?.slice('data: '.length) ?? '{}')
      if (usage?.completion_tokens !== options.words) throw new Error(`has ${JSON.stringify(usage)}`)
      whole += 1
    } catch (error) {
      broken.push(String(error))
      // One that is refused at once would ask thousands of times.
      await sleep(100)
    } finally {
      running.delete(one)
    }
  }

  const clients = Array.from({ length: options.count }, async () => {
    while (going) await stream()
  })

  return {
    /** Resolves when every client has the first word of the answer that it is at. */
    begun: () =>
      until(
        'all streams run',
        () => running.size === options.count && [...running].every((one) => one.hasBegun),
      ),
    /** How many that run began with this key. */
    runningWith: (key: string) => [...running].filter((one) => one.key === key && one.hasBegun).length,
    async stop() {
      going = false
      await Promise.all(clients)
      return { whole, broken }
    },
  }
}
