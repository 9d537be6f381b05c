import type { Secret } from '../lib/secret.ts'

interface Common {
  readonly name: string
}

export type SinkOptions =
  | ({ readonly kind: 'stdout' } & Common)
  | ({ readonly kind: 'file'; readonly path: string } & Common)
  | ({ readonly kind: 'http'; readonly url: string; readonly authorization?: Secret; readonly batchLines: number; readonly batchBytes: number; readonly timeoutMs: number; readonly format: 'ndjson' | 'json-array'; readonly gzip?: boolean } & Common)
  | ({ readonly kind: 'redis'; readonly url: Secret; readonly stream: string; readonly maxLength: number } & Common)
