import {
  liveValueIn,
  othersIn,
  RekeyError,
  Secret,
  type StoredValue,
  shownValueIn,
  VALUE_FIELD,
} from '@rekey/contracts'

type Fields = Record<string, unknown>

/** What lies in SecretString. The order of fields is fixed: AWS compares texts to tell a repeat from a clash. */
export function secretString(stored: StoredValue, field = VALUE_FIELD, others: Fields = {}): Secret {
  const { value, generation, keyId } = stored
  return Secret.of(JSON.stringify({ ...others, [field]: value.reveal(), generation, key_id: keyId }))
}

/** Undefined for a text that Rekey did not write. */
export function storedValueOf(text: Secret, field = VALUE_FIELD): StoredValue | undefined {
  const found = fieldsIn(text)
  if (!found) return undefined
  const { [field]: value, generation, key_id: keyId } = found
  if (typeof value !== 'string' || typeof keyId !== 'string' || !Number.isSafeInteger(generation))
    return undefined
  return { value: Secret.of(value), generation: Number(generation), keyId }
}

/** What readers find beside the value; of a text without fields: nothing. */
export function othersBeside(text: Secret, field: string): Fields {
  return othersIn(fieldsIn(text) ?? {}, field)
}

/** The value in a text that somebody else wrote. */
export function liveValueOf(text: Secret, field: string | undefined, where: string): Secret {
  const found = fieldsIn(text)
  if (found) return liveValueIn(found, field, where)
  const shape = `{"${field ?? VALUE_FIELD}": …}`
  throw new RekeyError(
    'not_adoptable',
    text.reveal() === ''
      ? `${where} is empty`
      : `${where} holds text that is no JSON object: Rekey writes ${shape}; let readers take it from there, and write it so`,
  )
}

/** What a reader takes for the value, whoever wrote the text; undefined: nothing that it could take. */
export function shownValueOf(text: Secret, field: string | undefined): Secret | undefined {
  const found = isBlankText(text) ? undefined : fieldsIn(text)
  return found && shownValueIn(found, field)
}

function fieldsIn(text: Secret): Fields | undefined {
  try {
    const found: unknown = JSON.parse(text.reveal())
    return typeof found === 'object' && found !== null && !Array.isArray(found)
      ? (found as Fields)
      : undefined
  } catch {
    // Nothing of the error is kept: it quotes the text.
    return undefined
  }
}

/** Says to whoever reads too early what is going on. It has no `value`, so that it is never taken for one. */
export const EMPTY = Secret.of(JSON.stringify({ rekey: 'no value has been promoted yet' }))

const WITHDRAWN_SAYS = 'the value was withdrawn'

/** What readers get in place of a value that was withdrawn. */
export const WITHDRAWN = withdrawnBeside({})

/** The same, with what lay beside the value. */
export function withdrawnBeside(others: Fields): Secret {
  return Secret.of(JSON.stringify({ ...others, rekey: WITHDRAWN_SAYS }))
}

/** Whether it is one of the texts that show readers nothing. */
export function isBlankText(text: Secret): boolean {
  return text.equals(EMPTY) || text.equals(WITHDRAWN) || fieldsIn(text)?.rekey === WITHDRAWN_SAYS
}

/** Where a generation was destroyed that was never staged. */
export const TOMBSTONE = Secret.of(JSON.stringify({ rekey: 'this generation was destroyed' }))
