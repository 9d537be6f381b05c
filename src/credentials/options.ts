import type { Secret } from '../lib/secret.ts'

/** A static upstream credential, lent as headers. The value may be `Bearer …`, `Basic …` or whatever the upstream wants. */
export interface CredentialOptions {
  readonly service: string
  readonly headers: readonly { readonly name: string; readonly value: Secret }[]
}
