import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'

/*
 * What RunEvent 2-0-2 and LineageJobFacet 1-0-0 of OpenLineage ask for, written down here from their description and stricter: nothing beside what
 * we send may be there, because consumers ignore what they do not know and a member with a wrong name would be lost without a word.
 */

const base = { _producer: { type: 'string', format: 'uri' }, _schemaURL: { type: 'string', format: 'uri' } }
const dataset = { namespace: { type: 'string', minLength: 1, pattern: '^[a-z]+://.+' }, name: { type: 'string', minLength: 1 } }
const datasets = { type: 'array', items: { type: 'object', required: ['namespace', 'name'], additionalProperties: false, properties: dataset } }
const typed = { ...dataset, type: { const: 'DATASET' } }

const runEvent = {
  type: 'object',
  required: ['eventType', 'eventTime', 'producer', 'schemaURL', 'run', 'job', 'inputs', 'outputs'],
  additionalProperties: false,
  properties: {
    eventType: { enum: ['START', 'RUNNING', 'OTHER', 'COMPLETE', 'ABORT', 'FAIL'] },
    eventTime: { type: 'string', format: 'date-time' },
    producer: { type: 'string', format: 'uri' },
    schemaURL: { const: 'https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent' },
    run: { type: 'object', required: ['runId', 'facets'], additionalProperties: false, properties: { runId: { type: 'string', format: 'uuid' }, facets: { type: 'object', required: ['countersign_gateDecision'], additionalProperties: false, properties: { countersign_gateDecision: { $ref: 'urn:countersign:schema:openlineage:1-0-0:GateDecisionRunFacet' } } } } },
    job: {
      type: 'object', required: ['namespace', 'name', 'facets'], additionalProperties: false,
      properties: { namespace: { type: 'string', minLength: 1 }, name: { type: 'string', minLength: 1 }, facets: { type: 'object', required: ['lineage'], additionalProperties: false, properties: { lineage: { type: 'object', required: ['_producer', '_schemaURL', 'entries'], additionalProperties: false, properties: { ...base, entries: { type: 'array', minItems: 1, items: { type: 'object', required: ['namespace', 'name', 'type', 'inputs'], additionalProperties: false, properties: { ...typed, inputs: { type: 'array', items: { type: 'object', required: ['namespace', 'name', 'type'], additionalProperties: false, properties: typed } } } } } } } } } },
    },
    inputs: datasets,
    outputs: datasets,
  },
}

const ajv = new Ajv2020({ strict: true, allErrors: true })
ajv.addFormat('uri', (text) => URL.canParse(text))
ajv.addFormat('date-time', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/)
ajv.addFormat('uuid', /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
ajv.addSchema(JSON.parse(readFileSync(join(import.meta.dirname, '..', '..', 'schema', 'openlineage', 'GateDecisionRunFacet-1-0-0.json'), 'utf8')) as object)
const validate = ajv.compile(runEvent)

/** What is wrong with it; empty for an event that consumers take. */
export const wrongIn = (event: unknown): string => (validate(event) ? '' : ajv.errorsText(validate.errors))
