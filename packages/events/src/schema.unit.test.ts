import { expect, test } from 'vitest'
import { z } from 'zod'
import * as schemas from './schemas.ts'

/** The zod schemas are the source; `vitest run packages/events -u` writes the JSON Schemas again. */
test.each([
  ['rekey-workload.vendorchanged.0.1.0', schemas.vendorChanged],
  ['rekey-workload.datasetchanged.0.1.0', schemas.datasetChanged],
  ['rekey-workload.zonechanged.0.1.0', schemas.zoneChanged],
  ['rekey-credential.leaked.0.1.0', schemas.leaked01],
  ['rekey-credential.leaked.0.2.0', schemas.leaked02],
])('schema/%s.json says what intake accepts', async (name, schema) => {
  const $id = `https://rekey.dev/schema/${name}.json`
  const { $schema, ...rest } = z.toJSONSchema(schema)
  const text = `${JSON.stringify({ $schema, $id, ...rest }, undefined, 2)}\n`
  await expect(text).toMatchFileSnapshot(`../schema/${name}.json`)
})
