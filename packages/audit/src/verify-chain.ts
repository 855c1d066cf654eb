import { canonical, sha256 } from './hash.ts'
import { GENESIS, HASH_ALGORITHM } from './to-ocsf.ts'

/**
 *  edit        a record is not what the chain keeps the hash of, or is no canonical record at all
 *  gap         records before it are missing
 *  reorder     records before it come later
 *  fork        two different records claim one place
 *  truncation  the last records are missing; only seen if the true end is known
 */
export type Fault = 'edit' | 'gap' | 'reorder' | 'fork' | 'truncation'

export type Head = { sequence: number; hash: string }

export type Verification =
  | { ok: true; records: number; duplicates: number; head: Head }
  /** `index` counts the given records from 0; the first bad one. */
  | { ok: false; index: number; uid: string | undefined; sequence: number; fault: Fault; detail: string }

type Link = { index: number; uid: string; sequence: number; previousHash: string; hash: string }

/**
 * Checks the records of one chain, in the order of the topic. A byte-identical repeat of an earlier record is a resend and
 * no fault. Without `until` nobody can tell a chain that ends from one whose end was cut off, or an edit of its last record.
 */
export function verifyChain(
  records: readonly string[],
  options: { after?: Head; until?: Head } = {},
): Verification {
  const links = records.map((bytes, index) => readLink(index, bytes))
  const places = new Map<number, string>()
  let head: Head = options.after ?? GENESIS
  let last: Link | undefined
  for (const [index, link] of links.entries()) {
    if (typeof link === 'string')
      return { ok: false, index, uid: undefined, sequence: head.sequence + 1, fault: 'edit', detail: link }
    const expected = head.sequence + 1
    if (link.sequence < expected) {
      const first = places.get(link.sequence)
      if (first === link.hash) continue
      if (first !== undefined)
        return bad(link, 'fork', `sequence ${link.sequence} came before with other content`)
      return bad(link, 'reorder', `sequence ${link.sequence} is before the start of what is checked`)
    }
    if (link.sequence > expected) {
      if (laterOne(links, link, expected))
        return bad(link, 'reorder', `sequence ${expected} comes only later`)
      const missing =
        link.sequence - expected === 1 ? `${expected} is` : `${expected} to ${link.sequence - 1} are`
      return bad(link, 'gap', `sequence ${missing} missing`)
    }
    if (link.previousHash !== head.hash) return broken(link, last, links)
    places.set(link.sequence, link.hash)
    head = { sequence: link.sequence, hash: link.hash }
    last = link
  }
  const { until } = options
  if (until && until.sequence > head.sequence) {
    const detail = `the chain goes on to ${until.sequence}, the records end at ${head.sequence}`
    return {
      ok: false,
      index: records.length,
      uid: undefined,
      sequence: head.sequence + 1,
      fault: 'truncation',
      detail,
    }
  }
  if (last && until?.sequence === head.sequence && until.hash !== head.hash)
    return bad(last, 'edit', 'it does not have the hash that is known of the last record')
  return { ok: true, records: places.size, duplicates: records.length - places.size, head }
}

/** The furthest of some records. What is no record of the chain is left to the check. */
export function headOf(records: readonly string[]): Head | undefined {
  let head: Link | undefined
  for (const link of records.map((bytes, index) => readLink(index, bytes)))
    if (typeof link === 'object' && link.sequence > (head?.sequence ?? 0)) head = link
  return head && { sequence: head.sequence, hash: head.hash }
}

/** Either this record's claim or the record before was changed: the one after this one knows. */
function broken(link: Link, before: Link | undefined, links: (Link | string)[]): Verification {
  const next = laterOne(links, link, link.sequence + 1)
  const intact = next === undefined || next.previousHash === link.hash
  if (before && intact)
    return bad(before, 'edit', `record ${link.uid} keeps another hash of it (or was itself changed)`)
  return bad(link, 'edit', 'what it says of the record before is wrong')
}

function laterOne(links: (Link | string)[], than: Link, sequence: number): Link | undefined {
  return links.find(
    (l): l is Link => typeof l === 'object' && l.index > than.index && l.sequence === sequence,
  )
}

function bad({ index, uid, sequence }: Link, fault: Fault, detail: string): Verification {
  return { ok: false, index, uid, sequence, fault, detail }
}

/** What the chain needs of a record, or why it is none. */
function readLink(index: number, bytes: string): Link | string {
  try {
    const record = JSON.parse(bytes)
    const { sequence, previous_hash, hash_algorithm } = record.unmapped.record_integrity
    if (canonical(record) !== bytes) return 'the bytes are not canonical JSON'
    if (!Number.isSafeInteger(sequence) || sequence < 1) return 'it has no sequence'
    if (sequence !== record.metadata.sequence) return 'it has two sequences'
    if (hash_algorithm !== HASH_ALGORITHM) return 'its hash algorithm is not known'
    return { index, uid: record.metadata.uid, sequence, previousHash: previous_hash, hash: sha256(bytes) }
  } catch {
    return 'it is no record of the chain'
  }
}
