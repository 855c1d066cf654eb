import { readdirSync, readFileSync } from 'node:fs'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'

const FOLDER = new URL('../schema/', import.meta.url)

/** What is wrong with a record, by the schema of the class that it names; nothing: it is valid OCSF 1.8.0. */
export type Validate = (record: unknown) => string[]

/** Compiles the schemas: make one and keep it. The auditor itself does not load this. */
export function validator(): Validate {
  const ajv = new Ajv2020({ allErrors: true, strict: false, unicodeRegExp: false })
  const classes = new Map<number, ValidateFunction>()
  for (const name of readdirSync(FOLDER)) {
    const uid = /^(\d+)-.*\.json$/.exec(name)?.[1]
    if (uid === undefined) continue
    classes.set(Number(uid), ajv.compile(JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8'))))
  }
  return (record) => {
    const uid = typeof record === 'object' && record && 'class_uid' in record ? record.class_uid : undefined
    const validate = typeof uid === 'number' ? classes.get(uid) : undefined
    if (!validate) return [`class_uid ${String(uid)} is none that Rekey uses`]
    if (validate(record)) return []
    return (validate.errors ?? []).map(({ instancePath, message, params }) => {
      const extra = 'additionalProperty' in params ? ` (${params.additionalProperty})` : ''
      return `${instancePath || '/'} ${message}${extra}`
    })
  }
}
