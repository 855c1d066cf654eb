import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { parse } from 'yaml'
import type { z } from 'zod'

/** Says which field is wrong, in the words of the file. */
export class ConfigError extends Error {}

/** A YAML document of this shape. Unknown fields are errors where the schema is strict, so that a typo is found and named. */
export function parseDocument<Schema extends z.ZodType>(text: string, schema: Schema): z.infer<Schema> {
  let document: unknown
  try {
    document = parse(text)
  } catch (error) {
    throw new ConfigError(`not YAML: ${(error as Error).message}`)
  }
  const result = schema.safeParse(document)
  if (result.success) return result.data
  throw notValid(result.error.issues.map((i) => `${i.path.join('.') || '(document)'}: ${i.message}`))
}

/** Each problem is a line that begins with its field. */
export const notValid = (problems: string[]): ConfigError =>
  new ConfigError(`the configuration is not valid:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)

/** The text of a file, and the folder that its relative paths start at. */
export async function readDocument(path: string): Promise<{ text: string; folder: string }> {
  try {
    return { text: await readFile(path, 'utf8'), folder: dirname(resolve(path)) }
  } catch (error) {
    throw new ConfigError(`cannot read ${path}: ${(error as NodeJS.ErrnoException).code}`)
  }
}
