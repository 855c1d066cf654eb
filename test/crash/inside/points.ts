import { appendFileSync, closeSync, openSync, writeSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import {
  type Kill,
  markerFile,
  type Passed,
  type Plan,
  passedFile,
  readMarker,
  readPlan,
  type Side,
} from '../plan.ts'
import { isLeftOut, isOnceOnly } from './left-out.ts'

const folder = process.env.REKEY_CRASH_FOLDER ?? ''
export const service = serviceOf(process.argv)

/** One act under way. One act may be several points: a batch of records is one for each record in it. */
export type Act = { plan: Plan; points: { label: string; occurrence: number }[]; nth: number }

let counting: { id: string; nth: number; seen: Map<string, number> } | undefined

/** The plan as it is now; undefined between journeys, when nothing is counted. */
export function plan(): Plan | undefined {
  return folder === '' ? undefined : readPlan(folder)
}

/** To be called when an act is about to start. Undefined: nothing of it counts. */
export function before(labels: (plan: Plan) => string[]): Act | undefined {
  const act = begin(labels)
  if (act) pass(act, 'before')
  return act
}

/** To be called when the answer is there. */
export function after(act: Act | undefined): void {
  if (act) pass(act, 'after')
}

/** For an act of which only its answer says what it was about. */
export function onlyAfter(labels: (plan: Plan) => string[]): void {
  const act = begin(labels)
  if (act) pass(act, 'after')
}

function begin(labels: (plan: Plan) => string[]): Act | undefined {
  const now = plan()
  if (!now) return undefined
  if (counting?.id !== now.id) counting = { id: now.id, nth: 0, seen: new Map() }
  const { seen } = counting
  const points = [...new Set(labels(now))].flatMap((label) => {
    if (isLeftOut(label)) return []
    const occurrence = (seen.get(label) ?? 0) + 1
    if (occurrence > 1 && isOnceOnly(label)) return []
    seen.set(label, occurrence)
    return [{ label, occurrence }]
  })
  if (points.length === 0) return undefined
  counting.nth++
  return { plan: now, points, nth: counting.nth }
}

function pass({ plan: of, points, nth }: Act, side: Side): void {
  const passed = points.map((point): Passed => ({ pid: process.pid, nth, ...point, side }))
  appendFileSync(
    passedFile(folder, of, service),
    passed.map((point) => `${JSON.stringify(point)}\n`).join(''),
  )
  for (const kill of of.kills) {
    if (kill.service !== service || kill.side !== side) continue
    const { at } = kill
    const hit =
      'nth' in at
        ? nth === at.nth && passed[0]
        : passed.find((p) => p.label === at.label && p.occurrence === at.occurrence)
    if (hit && isItsTurn(of, kill) && isFirst(markerFile(folder, of, kill.name), hit))
      process.kill(process.pid, 'SIGKILL')
  }
}

function isItsTurn(of: Plan, kill: Kill): boolean {
  if (kill.follows === undefined) return true
  const before = readMarker(folder, of, kill.follows)
  return before !== undefined && before.pid !== process.pid
}

function isFirst(file: string, hit: Passed): boolean {
  try {
    const made = openSync(file, 'wx')
    writeSync(made, JSON.stringify(hit))
    closeSync(made)
    return true
  } catch {
    return false
  }
}

/** `…/services/rotator/src/main.ts` is the rotator; agents are told apart by the folders of their nodes. */
function serviceOf(argv: string[]): string {
  const name = /services\/([a-z]+)\/src\/main\.ts$/.exec(argv[1] ?? '')?.[1] ?? ''
  const config = argv.find((argument) => argument.endsWith('agent.json'))
  return config === undefined ? name : `${name}-${basename(dirname(config)).split('-').at(-1)}`
}
