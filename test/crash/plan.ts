import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Before an act, nothing of it has left the process. After it, its answer is there and nobody has read it. */
export type Side = 'before' | 'after'

/** A durable write or an outside call that a process makes, by what it says; `occurrence` counts from 1 in a journey. */
export type Point = { service: string; label: string; occurrence: number }

export type Kill = {
  /** Of its own in the plan; it happens once. */
  name: string
  /** Waits for the kill of this name: it is for the process that was started in place of the dead one. */
  follows?: string
  service: string
  side: Side
  /** Where: a point by its name, or the n-th act that the process comes to. */
  at: { label: string; occurrence: number } | { nth: number }
}

/** What the harness tells the processes of one world. They read it at every point, so it may change at any time. */
export type Plan = {
  /** A new one for each journey: all counting starts again. */
  id: string
  credential: string
  /** The generation that this journey brings up; any other one is called old. */
  generation: number
  /** What is different in each world, and what labels say in its place. */
  names: [string, string][]
  kills: Kill[]
}

/** One line of what a process did. `nth` numbers its acts: a batch is one act, and a point for each thing in it. */
export type Passed = { pid: number; nth: number; label: string; occurrence: number; side: Side }

export function writePlan(folder: string, plan: Plan | undefined): void {
  writeFileSync(join(folder, 'plan.new'), JSON.stringify(plan ?? null))
  renameSync(join(folder, 'plan.new'), join(folder, 'plan'))
}

export function readPlan(folder: string): Plan | undefined {
  const text = textOf(join(folder, 'plan'))
  return text === undefined ? undefined : (JSON.parse(text) ?? undefined)
}

export function passedFile(folder: string, plan: Plan, service: string): string {
  return join(folder, `${plan.id}.${service}.passed`)
}

/** Its process may be writing: a line is taken when it is whole, and a write over two pages is seen in two halves. */
export function readPassed(folder: string, plan: Plan, service: string): Passed[] {
  const lines = textOf(passedFile(folder, plan, service))?.split('\n') ?? []
  return lines.slice(0, -1).map((line) => JSON.parse(line))
}

/** Made by the process in its last moment, so that each kill happens once. */
export function markerFile(folder: string, plan: Plan, kill: string): string {
  return join(folder, `${plan.id}.${kill}.killed`)
}

export function readMarker(folder: string, plan: Plan, kill: string): Passed | undefined {
  const text = textOf(markerFile(folder, plan, kill))
  return text ? JSON.parse(text) : undefined
}

export function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
