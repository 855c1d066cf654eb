import { expect, test } from 'vitest'
import { z } from 'zod'
import * as schemas from './schemas.ts'

/** The zod schemas are the source; `vitest run packages/events -u` writes the JSON Schemas again. */
test.each([
  ['rekey-workload.vendorchanged', schemas.vendorChanged],
  ['rekey-workload.datasetchanged', schemas.datasetChanged],
  ['rekey-workload.zonechanged', schemas.zoneChanged],
  ['rekey-credential.leaked', schemas.leaked],
])('schema/%s.0.1.0.json says what intake accepts', async (name, schema) => {
  const $id = `https://rekey.dev/schema/${name}.0.1.0.json`
  const { $schema, ...rest } = z.toJSONSchema(schema)
  const text = `${JSON.stringify({ $schema, $id, ...rest }, undefined, 2)}\n`
  await expect(text).toMatchFileSnapshot(`../schema/${name}.0.1.0.json`)
})
