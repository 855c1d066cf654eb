import type { Leased, Ledger } from '@rekey/ledger'
import type { Hands } from './act.ts'

/** Keeps in the ledger what an attempt finds before its first act; later ones get that, and look no more. */
export function noteOf(ledger: Pick<Ledger, 'noted' | 'note'>, leased: Leased): NonNullable<Hands['note']> {
  return async (found) =>
    (await ledger.noted(leased.effect.key)) ?? (await ledger.note(leased, await found()))
}
