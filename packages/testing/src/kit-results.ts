import { expect, test } from 'vitest'

/** What a kind showed on its real server in one part of a kit. */
export type KitPart = {
  part: string
  held: number
  /** Checks that were not asked of it, by the reason. */
  notAsked: Record<string, number>
}

type Task = {
  name: string
  type: string
  tasks?: Task[]
  result?: { state: string; note?: string | undefined } | undefined
}

/**
 * The last test of a kit: what the others showed is what `results` of the package has on record, from which the page
 * docs/reference/authorities.md is made. `vitest -u` writes it.
 */
export function testOnRecord(contract: 'authority' | 'store', name: string): void {
  test('has on record what was held, and what was not asked', async ({ task, skip }) => {
    if (task.file.projectName !== 'int') return skip('only what a real server showed is on record')
    const parts = (task.suite as Task | undefined)?.tasks?.filter(({ type }) => type === 'suite') ?? []
    const checks = parts.map(({ name: part, ...suite }) => ({ part, results: resultsOf(suite) }))
    if (checks.some(({ results }) => results.some((state) => state === undefined)))
      return skip('only some of the kit was run')
    const record = checks.map(({ part, results }): KitPart => {
      const notAsked: Record<string, number> = {}
      for (const { state, note = 'no reason' } of results.filter((result) => result !== undefined))
        if (state === 'skip') notAsked[note] = (notAsked[note] ?? 0) + 1
      return { part, held: results.filter((result) => result?.state === 'pass').length, notAsked }
    })
    await expect(`${JSON.stringify(record, null, 2)}\n`).toMatchFileSnapshot(
      `../results/${contract}-${name}.json`,
    )
  })
}

const resultsOf = ({ tasks = [] }: Omit<Task, 'name'>): Task['result'][] =>
  tasks.flatMap((task) => (task.tasks ? resultsOf(task) : [task.result]))
