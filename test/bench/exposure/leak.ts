import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { connectVault, vaultReader } from '@rekey/backend-vault'
import { type Clients, startClients } from '@rekey/platform'
import { nowMs, wallOffsetMs } from '../../fleet/clock.ts'
import type { Place } from '../../fleet/doors.ts'
import type { Cpu } from '../cpu.ts'
import { callsOf } from '../nodes/calls.ts'
import type { Stage } from '../nodes/stage.ts'
import type { LeakVault } from '../nodes/vault.ts'
import type { ProberCalls } from './prober.ts'
import { type Step, stepsOf } from './steps.ts'

export const ORDERS = ['contain', 'expedite'] as const
export type Order = (typeof ORDERS)[number]

/** From the acknowledgement of the order until the leaked value is refused by the first place, and by the last. */
export type Exposure = { firstMs: number; lastMs: number }

export type Leak = Exposure & {
  /** From sending the order to its acknowledgement. */
  orderMs: number
  steps: Step[]
  /** Seconds of processor time from the order to the last refusal. */
  cpu: Map<string, number>
  requests: { ok: number; failed: number; failures: string[] } | undefined
}

/** A stage with somebody who has the value that leaks. */
export type LeakStage = Stage & { prober: ReturnType<typeof callsOf<ProberCalls>>; used: Cpu }

export function withProber(stage: Stage, vault: LeakVault): LeakStage {
  const { roleIdFile, secretIdFile } = vault.identity('prober')
  const process = stage.child('prober', new URL('prober.ts', import.meta.url), {
    VAULT_ROLE_ID_FILE: roleIdFile,
    VAULT_SECRET_ID_FILE: secretIdFile,
  })
  return { ...stage, prober: callsOf<ProberCalls>(process), used: stage.cpu(process) }
}

/** Rekey is told of a leak, by its API. */
export async function leak(stage: LeakStage, order: Order, clients: () => Clients): Promise<Leak> {
  const { control, credential, path, prober, places, used } = stage
  const generation = await prober('steal', path)
  // Who is contained fails until there is a next value: that is what the order says, so nobody counts it.
  const load = order === 'expedite' ? clients() : undefined
  try {
    while (load && load.tally.ok < 5) await delay(10)
    await stage.heard()
    await prober('start', places.rekey)
    used.lap()
    const sentAt = nowMs()
    const { rotation } = await control[order](credential, 'it leaked', [generation])
    const answeredAt = nowMs()
    const seen = await prober('seen', undefined)
    const cpu = used.lap()
    const entries = await stage.closed(rotation)
    const tally = await load?.stop()
    return {
      firstMs: seen.first - answeredAt,
      lastMs: seen.last - answeredAt,
      orderMs: answeredAt - sentAt,
      steps: stepsOf(entries, await stage.heard(), {
        answeredAt,
        lastAt: seen.last,
        wallOffsetMs: wallOffsetMs(),
      }),
      cpu,
      requests: tally && { ok: tally.ok, failed: tally.failed, failures: tally.failures },
    }
  } finally {
    await load?.stop()
  }
}

/** The same, done bare. */
export async function bareLeakOnce({ prober, bare, places }: LeakStage, order: Order): Promise<Exposure> {
  await prober('steal', await bare.prepare())
  await prober('start', places.bare)
  const began = await bare[order]()
  const { first, last } = await prober('seen', undefined)
  return { firstMs: first - began, lastMs: last - began }
}

/**
 * Clients as they should be, who present what readers of the store get now. The drain's bound is nothing, so they keep no
 * value either.
 */
export function clientsOf(places: Place[], path: string, vault: LeakVault) {
  const { roleIdFile, secretIdFile } = vault.identity('reader')
  const client = connectVault({
    addr: vault.addr,
    roleId: readFileSync(roleIdFile, 'utf8').trim(),
    secretIdFile,
  })
  const reader = vaultReader(client, { mount: 'secret', path })
  return {
    start: () =>
      startClients({
        urls: places.map(({ port, name }) => `http://127.0.0.1:${port}/${name}`),
        readers: [() => reader.readCurrent({ signal: AbortSignal.timeout(2_000) })],
        cacheMs: 0,
        keepAlive: 4,
        streams: 0,
        streamTokens: 0,
        thinkMs: 100,
      }),
    close: () => client.close(),
  }
}
