import { spawn } from 'node:child_process'
import { copyFile, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureSpin } from './install.ts'

export type Model = 'inbound' | 'outbound'

/**
 * How a world is searched.
 *
 *  depth    every state, fast, nodes sorted: the way to show that nothing is wrong.
 *  breadth  shortest counterexample first, nodes under their own names: the way to show what is.
 *  cycles   every state twice; a cycle is an error, so without one every way through the graph comes to an end.
 */
export type Search = 'depth' | 'breadth' | 'cycles'

export type World = {
  model: Model
  /** As for the C preprocessor, without `-D`. */
  defines: readonly string[]
  search: Search
  /** Worth compiling well: a large world. */
  large?: boolean
}

export type Found = {
  /** `I1` to `I6`, `stuck` (nothing can go on and the rotation has not ended), `cycle`, or the text of the assertion. */
  what: string
  /** The steps that lead there, as printed by the model. */
  trail: string[]
}

export type Result = {
  states: number
  transitions: number
  depth: number
  memoryMb: number
  /** Of the search alone, on the processor. */
  seconds: number
  /** Statements of the coordinator that no way leads to. */
  unreached: string[]
  found: Found | undefined
}

/** So that a search that grew is an error, and not a machine that swaps. */
const MEMORY_MB = 6_000
const DEPTH = 200_000

export const FOLDER = import.meta.dirname

/** Makes, compiles and runs the checker of one world, in a folder of its own that is removed afterwards. */
export async function check(world: World): Promise<Result> {
  const tools = await ensureSpin()
  const folder = await mkdtemp(join(tmpdir(), 'rekey-model-'))
  try {
    const source = `${world.model}.pml`
    for (const file of await readdir(FOLDER))
      if (file.endsWith('.pml')) await copyFile(join(FOLDER, file), join(folder, file))
    const defines = [...world.defines, ...(world.search === 'breadth' ? ['NOSORT'] : [])].map((d) => `-D${d}`)
    const made = await run(tools.spin, [...defines, '-a', source], folder)
    if (made.code !== 0 || /error/i.test(made.output)) throw new Error(`spin: ${made.output}`)
    const options = {
      depth: ['-DSAFETY'],
      breadth: ['-DSAFETY', '-DBFS'],
      cycles: ['-DNP'],
    }[world.search]
    const compile = [world.large ? '-O2' : '-O0', '-w', '-DNOREDUCE', `-DMEMLIM=${MEMORY_MB}`, ...options]
    const compiled = await run(tools.cc, [...compile, '-o', 'pan', 'pan.c'], folder)
    if (compiled.code !== 0) throw new Error(`gcc: ${compiled.output}`)
    const table = world.large ? '-w26' : '-w20'
    const args = [`-m${DEPTH}`, table, ...(world.search === 'cycles' ? ['-l'] : [])]
    const ran = await run('/bin/sh', ['-c', `./pan ${args.join(' ')}; echo "exit $?"; times`], folder)
    const result = read(ran.output)
    if (!failed(ran.output)) return result
    const replay = await run(tools.spin, [...defines, '-t', '-T', source], folder)
    return { ...result, found: await explain(ran.output, replay.output) }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function failed(output: string): boolean {
  return !/errors: 0$/m.test(output)
}

/** What pan says of its search. A search that did not look everywhere throws: it shows nothing. */
export function read(output: string): Result {
  const number = (pattern: RegExp) => Number(pattern.exec(output)?.[1] ?? Number.NaN)
  const problem =
    /max search depth too small|out of memory|MEMLIM bound|Segmentation|invalid array index/.exec(output)
  if (problem) throw new Error(`the search is incomplete: ${problem[0]}\n${output.slice(-2_000)}`)
  const errors = number(/errors: (\d+)$/m)
  if (Number.isNaN(errors)) throw new Error(`the search did not end:\n${output.slice(-2_000)}`)
  if (errors === 0 && /Search not completed/.test(output)) throw new Error('the search was not completed')
  const coordinator = /^unreached in proctype Coordinator\n((?:\t.*\n)*)/m.exec(output)?.[1] ?? ''
  return {
    states: number(/^\s*(\d+) states, stored/m),
    transitions: number(/^\s*(\d+) transitions/m),
    depth: number(/depth reached (\d+)/),
    memoryMb: number(/^\s*([\d.]+)\s+total actual memory usage/m),
    seconds: childSeconds(output),
    unreached: coordinator.split('\n').filter((line) => line.includes('state')),
    found: undefined,
  }
}

/** The shell's `times`: the second line is what its children took. */
function childSeconds(output: string): number {
  const [user, system] = [...(output.trimEnd().split('\n').at(-1) ?? '').matchAll(/(\d+)m([\d.]+)s/g)].map(
    ([, minutes, seconds]) => Number(minutes) * 60 + Number(seconds),
  )
  return (user ?? 0) + (system ?? 0)
}

/** Names the invariant: the comment on the line of the assertion that failed says it. */
async function explain(output: string, replayed: string): Promise<Found> {
  const trail = replayed.split('\n').flatMap((line) => /^\s*STEP (.*)$/.exec(line)?.[1] ?? [])
  if (/^pan:\d+: invalid end state/m.test(output)) return { what: 'stuck', trail }
  if (/^pan:\d+: non-progress cycle/m.test(output)) return { what: 'cycle', trail }
  const [, file, line] = /([a-z]+\.pml):(\d+), Error: assertion violated/.exec(replayed) ?? []
  if (!file) throw new Error(`a counterexample that cannot be replayed:\n${replayed.slice(-2_000)}`)
  const text = (await readFile(join(FOLDER, file), 'utf8')).split('\n')[Number(line) - 1] ?? ''
  return { what: /\/\* (I\d|goal)\b/.exec(text)?.[1] ?? text.trim(), trail }
}

function run(command: string, args: string[], cwd: string): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
    const chunks: Buffer[] = []
    child.stdout.on('data', (chunk) => chunks.push(chunk))
    child.stderr.on('data', (chunk) => chunks.push(chunk))
    child.on('error', reject)
    child.on('close', (code) => resolve({ code: code ?? 1, output: Buffer.concat(chunks).toString() }))
  })
}
