import { expect, test } from 'vitest'
import { z } from 'zod'
import * as schemas from './schemas.ts'

/** The zod schemas are the source; `vitest run packages/events -u` writes the JSON Schemas again. */
test.each([
  ['vendorchanged', schemas.vendorChanged],
  ['datasetchanged', schemas.datasetChanged],
  ['zonechanged', schemas.zoneChanged],
])('schema/rekey-workload.%s.0.1.0.json says what intake accepts', async (name, schema) => {
  const $id = `https://rekey.dev/schema/rekey-workload.${name}.0.1.0.json`
  const { $schema, ...rest } = z.toJSONSchema(schema)
  const text = `${JSON.stringify({ $schema, $id, ...rest }, undefined, 2)}\n`
  await expect(text).toMatchFileSnapshot(`../schema/rekey-workload.${name}.0.1.0.json`)
})
