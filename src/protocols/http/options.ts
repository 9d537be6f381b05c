import type { CertificateFiles } from '../../lib/tls-server.ts'

export interface RouteOptions {
  readonly service: string
  /** Exact host, ASCII lower case, no port, no trailing dot; absent matches every host that no other route names. */
  readonly host?: string
  /** Prefix that ends at a segment boundary. `/` is everything. */
  readonly path: string
  readonly stripPrefix: boolean
  readonly encodedSlash: 'refuse' | 'keep'
  /** Longest body that is read into memory for a rule or a hold; a longer one is refused, never half-read. */
  readonly inspectBytes: number
  /** Longest body that is streamed. */
  readonly maxBodyBytes: number
  readonly jsonRpc: boolean
  readonly graphql: boolean
  /** JSON keys of one object that differ only in case are refused, like duplicates. */
  readonly caseVariants: 'refuse' | 'allow'
  /** Form field, query key or header by which the upstream lets a POST become another method; empty: it does not. */
  readonly methodOverride: { readonly form?: string }
  /** Headers that may differ between what was approved and a repeat of it, beside the built-in volatile ones. */
  readonly unboundHeaders: readonly string[]
  readonly upgrades: readonly 'websocket'[]
  readonly hold: { readonly waitMs: number; readonly pendingStatus: 503 | 409 | 403 }
  /** Adds the provider's own error shape to refusals, so that LLM SDKs show the text. */
  readonly errors: 'problem' | 'openai' | 'anthropic'
}

export interface HttpServiceOptions {
  readonly name: string
  /** Origin only: scheme, host, port. */
  readonly upstream: string
  /** The addresses that the upstream's name may resolve to; empty: any. Bound into every digest. */
  readonly allowedCidrs: readonly string[]
  readonly caFile?: string
  /** Tokens must carry this audience, beside being valid at their issuer. */
  readonly audience?: string
  readonly connections: number
  readonly connectTimeoutMs: number
  readonly headersTimeoutMs: number
  readonly bodyTimeoutMs: number
  readonly routes: readonly RouteOptions[]
}

export interface HttpListenerOptions {
  readonly host: string
  readonly port: number
  readonly tls?: CertificateFiles
  readonly trustedProxies: readonly string[]
  readonly limits: { readonly targetBytes: number; readonly headerBytes: number; readonly headerCount: number; readonly connections: number }
  readonly timeouts: { readonly headersMs: number; readonly bodyMs: number; readonly keepAliveMs: number; readonly sessionRecheckMs: number }
  readonly services: readonly HttpServiceOptions[]
  /** Where approvers decide; shown in hold answers. */
  readonly consoleUrl: string
  /** Claims sent upstream as headers of their own: claim name to header name. */
  readonly claimHeaders: Readonly<Record<string, string>>
}
