import { expect, test } from 'vitest'
import { exists, explain, folders, manifest, read } from './repository.ts'

/** A folder's line in the map: "packages/core" at the start of a table row, and what it is. */
const map = new Map(
  [...read('ARCHITECTURE.md').matchAll(/^\| `([a-z]+\/[a-z-]+)` \| ([^|]+) \|/gm)].map(
    ([, folder = '', what = '']) => [folder, what.trim()],
  ),
)

test('every package, service and infra folder says in one line what it is', () => {
  const silent = folders().filter((folder) => {
    const described = exists(`${folder}/package.json`) ? manifest(folder).description : undefined
    return !map.get(folder) && !described && !exists(`${folder}/README.md`)
  })
  expect(
    silent,
    explain('Describe these in the folder map of ARCHITECTURE.md, their package.json or a README.', silent),
  ).toEqual([])
})

test('the folder map names no folder that is gone', () => {
  const gone = [...map.keys()].filter((folder) => !exists(folder))
  expect(gone, explain('ARCHITECTURE.md lists these.', gone)).toEqual([])
})
