import cedar from '@cedar-policy/cedar-wasm/nodejs'
import { SCHEMA } from './vocabulary.ts'

export type EntityFile = { name: string; text: string }

/** Who can be given a role. An operator's name is believed as it is told, so it is given none. */
const MEMBERS = ['Group', 'User', 'Certificate']

/** Which groups and names have which roles, in Cedar's JSON. */
export function readEntities(file: EntityFile | undefined): {
  entities: cedar.EntityJson[]
  faults: string[]
} {
  if (file === undefined) return { entities: [], faults: [] }
  const wrong = (why: string) => ({ entities: [], faults: [`${file.name}: ${why}`] })
  let entities: unknown
  try {
    entities = JSON.parse(file.text)
  } catch (error) {
    return wrong(`it is not JSON: ${error instanceof Error ? error.message : ''}`)
  }
  if (!Array.isArray(entities)) return wrong('it is not a list of entities')
  const faults = entities.flatMap((entity, index) => {
    const type = entity?.uid?.type
    return MEMBERS.includes(type) ? [] : [`${file.name}: entry ${index + 1} is no ${MEMBERS.join(', ')}`]
  })
  if (faults.length > 0) return { entities: [], faults }
  const checked = cedar.checkParseEntities({ entities, schema: SCHEMA })
  if (checked.type === 'success') return { entities, faults: [] }
  return wrong(checked.errors.map(({ message, help }) => `${message}${help ? ` (${help})` : ''}`).join(', '))
}
