import type { Secret } from '../lib/secret.ts'
import type { TlsFiles } from '../lib/tls-client.ts'
import type { AwsKey } from './aws-signature.ts'
import type { Format } from './format.ts'

interface Common {
  readonly name: string
  /** What a record looks like on its way out; the line of the journal when nothing is said. */
  readonly format?: Format
}

/** Where to, for everything that speaks HTTP. */
interface Web {
  readonly url: string
  /** PEM of the authority that counts, instead of those of the system. */
  readonly ca?: string
  readonly timeoutMs: number
  readonly batchLines: number
  readonly batchBytes: number
}

interface KafkaOptions extends Common {
  readonly kind: 'kafka'
  readonly brokers: readonly { readonly host: string; readonly port: number }[]
  /** If given: the only hosts that brokers may say they are on. */
  readonly hosts?: readonly string[]
  readonly topic: string
  /** Absent: without TLS. */
  readonly tls?: TlsFiles
  readonly sasl?: { readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; readonly user: string; readonly password: Secret }
  readonly timeoutMs: number
}

export type SinkOptions =
  | ({ readonly kind: 'stdout' } & Common)
  | ({ readonly kind: 'file'; readonly path: string } & Common)
  | ({ readonly kind: 'http'; readonly authorization?: Secret; readonly body: 'ndjson' | 'json-array'; readonly gzip?: boolean } & Web & Common)
  | ({ readonly kind: 'redis'; readonly url: Secret; readonly tls?: TlsFiles; readonly stream: string; readonly maxLength: number } & Common)
  | ({ readonly kind: 'elastic'; readonly index: string; readonly authorization?: Secret } & Web & Common)
  /** `ackMs`: how long to wait for the indexer's acknowledgement; not at all when absent. */
  | ({ readonly kind: 'splunk'; readonly token: Secret; readonly sourcetype: string; readonly index?: string; readonly ackMs?: number } & Web & Common)
  | ({ readonly kind: 'datadog'; readonly apiKey: Secret; readonly service: string; readonly tags: readonly string[] } & Web & Common)
  | ({ readonly kind: 'otlp'; readonly headers: readonly { readonly name: string; readonly value: Secret }[]; readonly service: string } & Web & Common)
  | ({ readonly kind: 'syslog'; readonly host: string; readonly port: number; readonly tls: TlsFiles; readonly facility: number; readonly sdId: string; readonly maxBytes: number; readonly timeoutMs: number } & Common)
  /** `everyMs`: how long lines gather at most. */
  | ({ readonly kind: 's3'; readonly region: string; readonly key: AwsKey; readonly everyMs: number; readonly lock?: { readonly mode: 'COMPLIANCE' | 'GOVERNANCE'; readonly forMs: number } } & Web & Common)
  /** `namespaces`: of each service, where its datasets are. */
  | ({ readonly kind: 'openlineage'; readonly url: string; readonly ca?: string; readonly authorization?: Secret; readonly timeoutMs: number; readonly namespaces: readonly (readonly [service: string, namespace: string])[] } & Common)
  | KafkaOptions

export type OptionsOf<K extends SinkOptions['kind']> = Extract<SinkOptions, { readonly kind: K }>
