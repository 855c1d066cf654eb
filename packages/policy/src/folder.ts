import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { RekeyError } from '@rekey/contracts'
import type { PolicySource } from './policies.ts'

const ENTITIES = 'entities.json'

/** What a folder has: every `*.cedar` file, and `entities.json`. Folders in it are not looked into. */
export function readPolicyFolder(dir: string): PolicySource {
  try {
    const names = readdirSync(dir)
    const read = (name: string) => ({ name, text: readFileSync(join(dir, name), 'utf8') })
    return {
      files: names.filter((name) => name.endsWith('.cedar')).map(read),
      ...(names.includes(ENTITIES) && { entities: read(ENTITIES) }),
    }
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    throw new RekeyError('invalid_configuration', `cannot read the policies in ${dir}: ${why}`)
  }
}
