import type { Authority, StoredValue } from '@rekey/contracts'
import pg from 'pg'
import { callOf, nextValue } from '../calls.ts'

/** One rotation's part of an authority, each time the next one. */
export type Kind = { kind: string; ours(): Promise<void>; bare(): Promise<void>; close(): Promise<void> }

/** Replaces a value of Rekey's, again and again. `keyIds`: what the ledger knows of minted values. */
export function replacing(authority: Authority, keyIds: Record<number, string> = {}): () => Promise<void> {
  let current: StoredValue | undefined
  return async () => {
    const generation = (current?.generation ?? 0) + 1
    const call = (step: string) => callOf(`bench-g${generation}.${step}`)
    const next = await nextValue(authority, generation, call('stage'))
    keyIds[generation] = next.keyId
    await authority.keep?.(next.keyId, call('keep'))
    await authority.install?.(next, call('install'))
    await shows(authority, next, 'accepted')
    await authority.show?.(generation, call('promote'))
    if (current) {
      await authority.suspend?.(current.generation, call('suspend'))
      await authority.revoke?.(current.generation, call('revoke'))
      await shows(authority, current, 'refused')
    }
    current = next
  }
}

async function shows(authority: Authority, { value }: StoredValue, verdict: 'accepted' | 'refused') {
  for (const seen of await authority.probe(value, callOf('probe')))
    if (seen.verdict !== verdict)
      throw new Error(`bench-0003: ${authority.kind} shows ${seen.seen}, not ${verdict}`)
}

export async function expectRefused(attempt: Promise<unknown>, refusal: string): Promise<void> {
  const error = await attempt.then(
    () => undefined,
    (reason: { code?: string; name?: string; message?: string }) => reason,
  )
  if (![error?.code, error?.name, error?.message].includes(refusal))
    throw new Error(`bench-0004: seen ${error?.message ?? 'no refusal'}, not ${refusal}`)
}

/** As any client of that database. */
export async function logIn(endpoint: string, user: string, password: string): Promise<void> {
  const { hostname, port, pathname } = new URL(endpoint)
  const at = { host: hostname, port: Number(port), database: pathname.slice(1) }
  const client = new pg.Client({ ...at, user, password })
  client.on('error', () => undefined)
  await client.connect()
  await client.end()
}
