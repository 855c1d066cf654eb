import { type CredentialSpec, RekeyError, WATCHED_MAX } from '@rekey/contracts'
import type { Queryable } from './database.ts'
import type { NodeOrder } from './fleet-ledger.ts'
import { heldSql } from './recovery/held.ts'

type ReadPlace = { mount: string; path: string; namespace?: string; field?: string }

/** Where a node reads the values of a credential. */
export function readPlace(spec: Pick<CredentialSpec, 'stores'>): ReadPlace {
  const store = spec.stores.find((s) => s.kind === 'vault-kv')
  if (!store) throw new RekeyError('invalid_configuration', 'the credential has no vault-kv store')
  const { mount, path, namespace, field } = store
  return { mount, path, ...(namespace !== undefined && { namespace }), ...(field !== undefined && { field }) }
}

/**
 * A value that waits to be adopted is in use at the gateways already: told that it shall hold nothing, a node would cut its
 * clients off. It hears of it in its wave.
 */
const UNTOLD =
  "(c.spec ->> 'firstValue' is not distinct from 'adopt' and p.accept = '{}' and p.refuse = '{}')"

export async function desiredStates(tx: Queryable, nodes: string[]): Promise<Map<string, NodeOrder[]>> {
  const { rows } = await tx.query(
    `with ended as materialized (
       select c.name, array(
         select generation from generation g where g.credential = c.name and g.validity = 'destroyed'
         order by generation desc limit ${WATCHED_MAX}) as dead
       from credential c where c.name in (select credential from placement where node = any($1))
     )
     select p.node, p.credential, p.revision, p.accept, p.refuse, p.floor, c.spec -> 'stores' as stores, ended.dead, (
       select jsonb_object_agg(g.generation, g.key_id) from generation g
       where g.credential = p.credential and g.generation = any(p.accept)) as "keyIds"
     from placement p join credential c on c.name = p.credential join ended on ended.name = p.credential
     where p.node = any($1) and not ${heldSql('p.credential')} and not ${UNTOLD} order by p.node, p.credential`,
    [nodes],
  )
  const states = new Map<string, NodeOrder[]>()
  for (const row of rows) {
    const state: NodeOrder = {
      credential: row.credential,
      revision: row.revision,
      accept: row.accept.map((generation: number) => ({
        generation,
        keyId: row.keyIds[generation],
      })),
      refuse: row.refuse,
      floor: row.floor,
      store: { kind: 'vault-kv', ...readPlace(row) },
      dead: row.dead.filter((generation: number) => !row.accept.includes(generation)),
    }
    states.set(row.node, [...(states.get(row.node) ?? []), state])
  }
  return states
}
