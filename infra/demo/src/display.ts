import type { Tally } from '@rekey/platform'

/** One promise, and what was seen of it. */
export type Check = { name: string; ok: boolean; seen: string }

/** Lines on stdout, each with the seconds since the story began. */
export class Display {
  #startedAt = performance.now()
  #quiet: boolean

  constructor(options: { quiet: boolean }) {
    this.#quiet = options.quiet
  }

  say(line: string): void {
    if (this.#quiet) return
    const seconds = ((performance.now() - this.#startedAt) / 1000).toFixed(1).padStart(6)
    process.stdout.write(`${seconds} s  ${line}\n`)
  }

  /** The last line. */
  end(line: string): void {
    ;(this.#quiet ? process.stderr : process.stdout).write(`\n${line}\n`)
    this.#quiet = true
  }

  title(line: string): void {
    if (!this.#quiet) process.stdout.write(`\n${line}\n`)
  }

  verdict(checks: Check[]): void {
    this.title('Verdict')
    for (const { name, ok, seen } of checks) this.say(`${ok ? 'ok    ' : 'FAILED'}  ${name}: ${seen}`)
  }

  counters(tally: Tally): void {
    this.say(`         ${trafficOf(tally)}`)
  }
}

export function trafficOf({ ok, failed, streamsOk, streamsFailed, byGeneration }: Tally): string {
  const generations = Object.entries(byGeneration)
    .map(([generation, count]) => `g${generation} ${count}`)
    .join(', ')
  return `requests ok ${ok}, failed ${failed}; streams ok ${streamsOk}, cut ${streamsFailed}; presented ${generations}`
}
