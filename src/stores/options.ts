import type { Secret } from '../lib/secret.ts'
import type { TlsFiles } from '../lib/tls-client.ts'

/** A database in which all replicas keep what is found of their logs. */
export interface AuditIndexOptions {
  readonly url: Secret
  readonly schema: string
  readonly ca?: string
}

export type StoreOptions =
  | { readonly kind: 'embedded'; readonly path: string }
  | {
      readonly kind: 'redis'
      readonly connect:
        | { readonly mode: 'single'; readonly url: Secret; readonly tls?: TlsFiles }
        | { readonly mode: 'sentinel'; readonly sentinels: readonly { readonly host: string; readonly port: number }[]; readonly name: string; readonly password?: Secret; readonly sentinelPassword?: Secret; readonly tls?: TlsFiles }
        | { readonly mode: 'cluster'; readonly nodes: readonly { readonly host: string; readonly port: number }[]; readonly password?: Secret; readonly tls?: TlsFiles }
      /** Prefix and hash tag of every key: `{prefix}:…`. */
      readonly prefix: string
      /** Replicas that must have acknowledged before a hold counts as spent; 0: none. */
      readonly acknowledgingReplicas: number
    }
