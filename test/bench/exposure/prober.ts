import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { connectVault, vaultReader } from '@rekey/backend-vault'
import type { Place } from '../../fleet/doors.ts'
import { serve } from '../nodes/calls.ts'
import { Knocks } from './knocks.ts'
import { type Seen, vigil } from './vigil.ts'

/** Somebody who has the value that leaks: with an identity of its own, in a process of its own. */

export type ProberCalls = {
  /** Reads what readers of this path get now: that is the value that will leak. Answers with its generation. */
  steal(path: string): Promise<number>
  /** Every place accepts it now; from here on it is tried until all refuse. */
  start(places: Place[]): Promise<void>
  seen(): Promise<Seen>
}

const file = (name: string) => readFileSync(process.env[name] ?? '', 'utf8').trim()
const vault = connectVault({
  addr: process.env.VAULT_ADDR ?? '',
  roleId: file('VAULT_ROLE_ID_FILE'),
  secretIdFile: process.env.VAULT_SECRET_ID_FILE ?? '',
})
let knocks: Knocks | undefined
let watching: Promise<Seen> | undefined

serve({
  async steal(path) {
    const read = await vaultReader(vault, { mount: 'secret', path }).readCurrent()
    if (!read) throw new Error(`readers of ${path} find nothing`)
    knocks?.close()
    knocks = new Knocks(read.value.reveal())
    return read.generation
  },
  async start(places) {
    const thief = knocks
    if (!thief) throw new Error('there is no value')
    const ask = (indices: number[]) => thief.at(indices.flatMap((index) => places[index] ?? []))
    const before = await ask([...places.keys()])
    const refused = before.filter(({ accepted }) => !accepted).length
    if (refused > 0) throw new Error(`${refused} of ${places.length} places refuse the value before it leaks`)
    watching = vigil(places.length, ask, (ms) => delay(ms))
    watching.catch(() => undefined)
  },
  async seen() {
    if (!watching) throw new Error('nothing is tried')
    return watching
  },
} satisfies ProberCalls)
