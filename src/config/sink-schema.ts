import { z } from 'zod'
import { count, duration, path, secret, secretFile, size, text } from './fields.ts'

/* Where audit events go beside the journal. */

const ca = { 'ca-file': path('PEM file with the certificate authority of the place.').optional() }

/** Of everything that takes batches by HTTP. */
const web = () => ({
  ...ca,
  'batch-lines': count('Most lines of a batch.', 500, 1, 10_000),
  'batch-size': size('Most bytes of a batch.', '1MiB', 67_108_864),
  timeout: duration('For one batch.', '10s'),
})

const authorization = {
  authorization: secret('Value of the Authorization header.').optional(),
  'authorization-file': secretFile('authorization').optional(),
}

export const sink = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('stdout').describe('Standard output.') }),
    z.strictObject({ kind: z.literal('file').describe('A file.'), path: path('The file.') }),
    z.strictObject({
      kind: z.literal('http').describe('Batches by HTTP POST.'),
      url: text('Where to.'),
      ...authorization,
      body: z.enum(['ndjson', 'json-array']).default('ndjson').describe('Lines, or one JSON array.'),
      ...web(),
    }),
    z.strictObject({ kind: z.literal('redis').describe('A Redis stream.'), url: z.unknown().optional().meta({ type: 'string', description: 'redis://host:6379/0. A password only as a reference.' }), 'url-file': secretFile('url').optional(), stream: text('Name of the stream.').default('countersign:audit'), 'max-length': count('Entries that are kept.', 1_000_000, 1, 1_000_000_000) }),
    z.strictObject({
      kind: z.literal('elastic').describe('Elasticsearch or OpenSearch, by the bulk API.'),
      url: text('The cluster, such as https://search.example.org:9200.'),
      index: text('Data stream or index.').default('countersign-audit'),
      ...authorization,
      ...web(),
    }),
  ])
  .describe('Where audit events go beside the journal.')

export type SinkSource = z.infer<typeof sink>
