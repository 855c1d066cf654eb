import type { AcceptedValue } from '@rekey/contracts'
import { checkKeyId, generationOf } from '../key-map.ts'

/** What Rekey makes. In anything else something may mean something to NGINX. */
const VALUE = /^[A-Za-z0-9_-]{16,256}$/
const KEY_ID = /" "([^"]+)";$/

/**
 * What the configuration's `map` includes: a line for each value, and nothing else. As expressions, because NGINX compares the plain texts
 * of a map regardless of case, and takes some of them (`default`, `include`) for its own words.
 */
export function linesOf(accept: readonly AcceptedValue[]): string {
  const lines = new Map<string, string>()
  for (const { generation, keyId, value } of accept.toSorted((a, b) => a.generation - b.generation)) {
    if (!VALUE.test(value.reveal()))
      throw new Error(
        `the value of generation ${generation} is not 16 to 256 letters, digits, - and _: NGINX is not given others`,
      )
    // NGINX takes no map with the same line twice.
    lines.set(value.reveal(), `"~^${value.reveal()}$" "${checkKeyId(keyId)}";\n`)
  }
  return [...lines.values()].join('')
}

/** What is left without these generations: no value need be known for that. */
export function linesWithout(text: string, credential: string, generations: readonly number[]): string {
  return text
    .split('\n')
    .filter((line) => {
      const generation = generationOf(KEY_ID.exec(line)?.[1] ?? '', credential)
      return line !== '' && (generation === undefined || !generations.includes(generation))
    })
    .map((line) => `${line}\n`)
    .join('')
}
