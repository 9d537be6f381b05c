/** Writes the JSON schemas that editors use: `node schema/write.ts`. Tests say when that is due. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { configJsonSchemaText } from '../src/config/json-schema.ts'
import { casesJsonSchema, policyJsonSchema } from '../src/policy/json-schema.ts'

const schemas = { countersign: configJsonSchemaText(), policy: policyJsonSchema(), cases: casesJsonSchema() }

for (const [name, text] of Object.entries(schemas)) writeFileSync(join(import.meta.dirname, `${name}.schema.json`), text)
