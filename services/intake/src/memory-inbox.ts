import type { Verdict } from '@rekey/contracts'
import type { Inbox } from './inbox.ts'

/** For tests. Remembers like the ledger: the first content of an id decides, a repeat is told so. */
export class MemoryInbox implements Inbox {
  readonly calls: string[] = []
  readonly #first = new Map<string, string>()
  fail: (id: string) => unknown = () => undefined
  running = 0
  runningMax = 0

  receive(input: Parameters<Inbox['receive']>[0]): Promise<Verdict> {
    const { change } = input
    return this.#answer(input, 'rotation-opened', 'workload' in change ? change.workload : change.credential)
  }

  recordRejected(input: Parameters<Inbox['recordRejected']>[0]): Promise<Verdict> {
    return this.#answer(input, 'rejected', input.reason)
  }

  async #answer(
    { source, id, digest }: { source: string; id: string; digest: string },
    fresh: Verdict['verdict'],
    reason: string,
  ): Promise<Verdict> {
    this.running += 1
    this.runningMax = Math.max(this.runningMax, this.running)
    await new Promise((resolve) => setTimeout(resolve, 1))
    this.running -= 1
    const failure = this.fail(id)
    if (failure !== undefined) throw failure
    this.calls.push(id)
    const first = this.#first.get(id)
    this.#first.set(id, first ?? digest)
    const verdict = first === undefined ? fresh : first === digest ? 'duplicate' : 'conflict'
    return { source, id, verdict, reason, rotations: [], at: '2026-11-21T10:00:00.000Z' }
  }
}
