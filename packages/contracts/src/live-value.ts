import { RekeyError } from './errors.ts'
import { Secret } from './secret.ts'

/** Where readers find a value, if its store says nothing else. */
export const VALUE_FIELD = 'value'

/** Rekey's own notes beside a value: nobody else's fields. */
export const OWN_FIELDS: readonly string[] = [
  'generation',
  'key_id',
  'call_key',
  'withdrawn',
  'tombstone',
  'rekey',
]

const BYTES_MAX = 64 * 1024

type Fields = Record<string, unknown>

/** What readers find beside the value, such as a user name: Rekey keeps it as it is. */
export function othersIn(fields: Fields, field: string): Fields {
  return Object.fromEntries(
    Object.entries(fields).filter(([name]) => name !== field && !OWN_FIELDS.includes(name)),
  )
}

/** What a reader takes for the value, whoever wrote it; undefined: nothing that it could take. */
export function shownValueIn(fields: Fields, field = VALUE_FIELD): Secret | undefined {
  const value = fields[field]
  return typeof value === 'string' && value !== '' ? Secret.of(value) : undefined
}

/**
 * The value among the fields that somebody else wrote. `field`: where it is, with others beside it; undefined: it is all
 * that there is, under `value`. Throws `not_adoptable`, in words that quote no value.
 */
export function liveValueIn(fields: Fields, field: string | undefined, where: string): Secret {
  const refuse = (why: string) => new RekeyError('not_adoptable', `${where} ${why}`)
  const name = field ?? VALUE_FIELD
  if (Number.isSafeInteger(fields.generation) && typeof fields.key_id === 'string')
    throw refuse(`holds generation ${fields.generation} of a Rekey with another ledger`)
  const own = OWN_FIELDS.filter((own) => own in fields)
  if (own.length > 0) throw refuse(`has the field ${own.join(', ')}, where Rekey keeps its own notes`)
  const others = Object.keys(othersIn(fields, name)).length
  if (!(name in fields))
    throw refuse(
      field === undefined && others > 0
        ? `has fields, and none is called ${VALUE_FIELD}: name the value's in the field "field" of the store`
        : `has no field ${name}`,
    )
  if (field === undefined && others > 0)
    throw refuse(
      `has other fields beside ${VALUE_FIELD}: say "field: ${VALUE_FIELD}" in the store, so that they are kept`,
    )
  const value = fields[name]
  if (typeof value !== 'string') throw refuse(`has a field ${name} that is no text`)
  if (value === '') throw refuse(`has an empty field ${name}`)
  if (Buffer.byteLength(value) > BYTES_MAX) throw refuse(`has a field ${name} of more than 64 KiB`)
  return Secret.of(value)
}
