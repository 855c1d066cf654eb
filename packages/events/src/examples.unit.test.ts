import { readdirSync, readFileSync } from 'node:fs'
import { ChangeType } from '@rekey/contracts'
import { expect, test } from 'vitest'
import { decode } from './decode.ts'
import { toChange } from './to-change.ts'

const folder = new URL('../../../examples/events/', import.meta.url)

test('examples/events has one good event of each type', () => {
  const types = readdirSync(folder).map((name) => {
    const headers = { 'content-type': 'application/cloudevents+json' }
    const decoded = decode({ key: null, value: readFileSync(new URL(name, folder)), headers })
    const result = decoded.ok ? toChange(decoded.event) : decoded
    return result.ok ? result.change.type : `${name}: ${result.reason}`
  })
  expect(types.sort()).toEqual([...ChangeType.options, 'credential.leaked'].sort())
})
