import type { Child } from '../world/child.ts'

type Asked = { call: number; name: string; argument: unknown }
type Answered = { call: number; value?: unknown; error?: string }
// biome-ignore lint/suspicious/noExplicitAny: each call has an argument of its own
type Calls = Record<string, (argument: any) => Promise<unknown>>

/** Calls of a child process: what it offers by `serve` is called here by the same names. */
export function callsOf<C extends Calls>(child: Child) {
  let last = 0
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  child.onMessage<Answered>(({ call, value, error }) => {
    const asked = waiting.get(call)
    if (error === undefined) asked?.resolve(value)
    else asked?.reject(new Error(`${child.name}: ${error}`))
  })
  return async <N extends keyof C & string>(
    name: N,
    argument: Parameters<C[N]>[0],
  ): Promise<Awaited<ReturnType<C[N]>>> => {
    const call = ++last
    const asked = Promise.withResolvers<unknown>()
    waiting.set(call, asked)
    const watch = setInterval(() => {
      try {
        child.check()
      } catch (error) {
        asked.reject(error)
      }
    }, 500)
    child.send({ call, name, argument } satisfies Asked)
    try {
      return (await asked.promise) as Awaited<ReturnType<C[N]>>
    } finally {
      clearInterval(watch)
      waiting.delete(call)
    }
  }
}

/** The child's side. It ends with its parent. */
export function serve(calls: Calls): void {
  const answer = (message: Answered) => {
    if (process.connected) process.send?.(message)
  }
  process.on('message', ({ call, name, argument }: Asked) => {
    Promise.resolve()
      .then(() => calls[name]?.(argument))
      .then(
        (value) => answer({ call, value }),
        (error: unknown) => answer({ call, error: error instanceof Error ? error.message : String(error) }),
      )
  })
  process.on('disconnect', () => process.exit())
}
