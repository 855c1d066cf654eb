import { setTimeout as delay } from 'node:timers/promises'
import { ControlError } from './control-error.ts'
import type { Run } from './verb.ts'

const LOOK_MS = 1_000

/**
 * Gives an order; where a second person has to agree, waits for them and gives it again. Throws what control said where
 * nobody agrees in time.
 */
export async function withApproval<T>(run: Run, give: () => Promise<T>, timeoutMs: number): Promise<T> {
  const until = performance.now() + timeoutMs
  try {
    return await give()
  } catch (error) {
    if (!(error instanceof ControlError) || error.approval === undefined) throw error
    const id = error.approval
    run.terminal.err(`${error.message}`)
    run.terminal.err(`waiting; somebody else agrees with: rekey approve ${id} --reason …`)
    while (performance.now() < until) {
      const { state } = await run.client.approval(id)
      if (state === 'approved') return give()
      if (state !== 'open') break
      await delay(LOOK_MS)
    }
    throw error
  }
}
