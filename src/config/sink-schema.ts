import { z } from 'zod'
import { count, duration, flag, path, remote, secret, secretFile, size, text, texts, tls } from './fields.ts'

/* Where audit events go beside the journal. */

const ca = { 'ca-file': path('PEM file with the certificate authority of the place.').optional() }

/** Of everything that takes batches by HTTP. */
const web = () => ({
  ...ca,
  'batch-lines': count('Most lines of a batch.', 500, 1, 10_000),
  'batch-size': size('Most bytes of a batch.', '1MiB', 67_108_864),
  timeout: duration('For one batch.', '10s'),
})

const format = (standard: 'record' | 'ocsf') => ({ format: z.enum(['record', 'ocsf']).default(standard).describe('What leaves: the line of the journal, or an event of OCSF 1.8 with the record in it.') })

const authorization = {
  authorization: secret('Value of the Authorization header.').optional(),
  'authorization-file': secretFile('authorization').optional(),
}

export const sink = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('stdout').describe('Standard output.'), ...format('record') }),
    z.strictObject({ kind: z.literal('file').describe('A file.'), path: path('The file.'), ...format('record') }),
    z.strictObject({
      kind: z.literal('http').describe('Batches by HTTP POST.'),
      url: text('Where to.'),
      ...authorization,
      ...format('record'),
      body: z.enum(['ndjson', 'json-array']).default('ndjson').describe('Lines, or one JSON array.'),
      ...web(),
    }),
    z.strictObject({ kind: z.literal('redis').describe('A Redis stream.'), url: z.unknown().optional().meta({ type: 'string', description: 'redis://host:6379/0, rediss:// for TLS. A password only as a reference.' }), 'url-file': secretFile('url').optional(), ...ca, tls: tls('The certificate that we show to Redis.'), stream: text('Name of the stream.').default('countersign:audit'), 'max-length': count('Entries that are kept.', 1_000_000, 1, 1_000_000_000), ...format('record') }),
    z.strictObject({
      kind: z.literal('elastic').describe('Elasticsearch or OpenSearch, by the bulk API.'),
      url: text('The cluster, such as https://search.example.org:9200.'),
      index: text('Data stream or index.').default('countersign-audit'),
      ...format('ocsf'),
      ...authorization,
      ...web(),
    }),
    z.strictObject({
      kind: z.literal('splunk').describe("Splunk, by its HTTP Event Collector."),
      url: text('The collector, such as https://splunk.example.org:8088.'),
      token: secret('Of the collector.').optional(),
      'token-file': secretFile('token').optional(),
      index: text('Index. Default: that of the token.').optional(),
      sourcetype: text('Source type.').default('countersign'),
      ack: flag('Wait until the indexer has acknowledged each batch. It must be switched on for the token as well.', false),
      'ack-timeout': duration('Then a batch that was not acknowledged is sent again.', '2m'),
      ...format('ocsf'),
      ...web(),
    }),
    z.strictObject({
      kind: z.literal('datadog').describe('Datadog, by its log intake.'),
      url: text('The intake of your site. In the EU: https://http-intake.logs.datadoghq.eu.').default('https://http-intake.logs.datadoghq.com'),
      'api-key': secret('API key.').optional(),
      'api-key-file': secretFile('api-key').optional(),
      service: text('Name of the service there.').default('countersign'),
      tags: texts('Tags, such as env:production.').default([]),
      ...format('ocsf'),
      ...web(),
    }),
    z.strictObject({
      kind: z.literal('otlp').describe('OpenTelemetry logs, by OTLP over HTTP in JSON.'),
      url: text('Of logs, such as https://collector.example.org:4318/v1/logs.'),
      ...authorization,
      header: text('Name of a header that carries `value`, where a vendor wants one.').optional(),
      value: secret('Value of the header.').optional(),
      'value-file': secretFile('value').optional(),
      service: text('`service.name` of the resource.').default('countersign'),
      ...format('ocsf'),
      ...web(),
    }),
    z.strictObject({
      kind: z.literal('syslog').describe('Syslog over TLS (RFC 5424 and 5425). Best effort: the protocol has no acknowledgement.'),
      address: remote.describe('The receiver, host:port; usually port 6514.'),
      ...ca,
      tls: tls('The certificate that we show to the receiver.'),
      facility: count('Facility: 13 is the log audit, 4 and 10 are security, 16 to 23 are local.', 13, 0, 23),
      'sd-id': text('Name of the structured data that carries the id of the record.').default('countersign@32473'),
      'max-size': size('Longest message that the receiver takes whole; in rsyslog `maxMessageSize`. Longer ones become dead letters, because receivers cut them without a word.', '8KiB', 1_048_576),
      timeout: duration('For one batch.', '10s'),
      ...format('ocsf'),
    }),
    z.strictObject({
      kind: z.literal('s3').describe('S3, or a store that speaks like it: objects that are created and never written over.'),
      url: text('The bucket, and a prefix if one is wanted: https://bucket.s3.eu-central-1.amazonaws.com/audit, or https://store.example.org/bucket/audit.'),
      region: text('Region, as the signature names it.').default('us-east-1'),
      'access-key-id': secret('Access key id. Default: `${env:AWS_ACCESS_KEY_ID}`.').optional(),
      'access-key-id-file': secretFile('access-key-id').optional(),
      'secret-access-key': secret('Secret access key. Default: `${env:AWS_SECRET_ACCESS_KEY}`.').optional(),
      'secret-access-key-file': secretFile('secret-access-key').optional(),
      'session-token': secret('Session token, with keys that end.').optional(),
      'session-token-file': secretFile('session-token').optional(),
      every: duration('An object is written this long after its first record at the latest.', '5m'),
      'object-size': size('An object is written when about so many bytes are there.', '8MiB', 67_108_864),
      lock: z
        .strictObject({ mode: z.enum(['compliance', 'governance']).default('compliance').describe('Who may shorten it: nobody, or whoever has a right of its own.'), for: duration('How long objects can be neither changed nor deleted.', '365d') })
        .optional()
        .describe('Object Lock, where the bucket has it.'),
      ...ca,
      timeout: duration('For one object.', '60s'),
      ...format('record'),
    }),
    z.strictObject({
      kind: z.literal('openlineage').describe('Runs of OpenLineage, event by event: for Marquez, OpenMetadata, DataHub and others.'),
      url: text('Where events are posted to, such as https://marquez.example.org/api/v1/lineage.'),
      ...authorization,
      ...ca,
      timeout: duration('For the events of up to 100 records.', '30s'),
    }),
    z.strictObject({
      kind: z.literal('kafka').describe('Kafka, as an idempotent producer with acks=all.'),
      brokers: z.array(remote).min(1).max(20).describe('Some brokers, host:port.'),
      topic: text('The topic. It is not made here.').default('countersign.audit'),
      plaintext: flag('Without TLS: to brokers on this machine only.', false),
      ...ca,
      tls: tls('The certificate that we show to the brokers.'),
      sasl: z
        .strictObject({ mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']).default('scram-sha-512').describe('How the password is shown.'), user: text('User name.'), password: secret('Password.').optional(), 'password-file': secretFile('password').optional() })
        .optional()
        .describe('Login with a password.'),
      timeout: duration('For one batch.', '10s'),
      ...format('ocsf'),
    }),
  ])
  .describe('Where audit events go beside the journal.')

export type SinkSource = z.infer<typeof sink>
