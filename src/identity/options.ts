import type { CallerKind, Party } from '../model/caller.ts'
import type { Secret } from '../lib/secret.ts'

export type Preset = 'generic' | 'okta' | 'entra' | 'google' | 'github-actions' | 'gitlab' | 'kubernetes'

export type KeySource =
  | { readonly from: 'discovery'; readonly url: string }
  | { readonly from: 'uri'; readonly url: string; readonly caFile?: string; readonly bearer?: Secret }
  | { readonly from: 'inline'; readonly jwks: { readonly keys: readonly Record<string, unknown>[] } }

/** What a claim must be: a literal, one of several literals, or globs on its `/`- and `:`-separated segments. */
export type ClaimRule = { readonly equals: readonly (string | number | boolean)[] } | { readonly glob: readonly string[] }

export interface IssuerOptions {
  /** Short name in config and policies. */
  readonly name: string
  /** Compared with `iss` exactly. Entra: several exact values for one tenant list. */
  readonly issuers: readonly string[]
  readonly preset: Preset
  readonly keys: KeySource
  /** Never empty. */
  readonly audiences: readonly string[]
  readonly algorithms: readonly string[]
  /** Accepted JOSE `typ` values, lower case, `application/` removed, and `untyped` for tokens without one; undefined accepts any but an ID token where the preset can tell. */
  readonly tokenTypes?: readonly string[]
  readonly kind: CallerKind
  readonly clockToleranceMs: number
  readonly maxTokenAgeMs: number
  /** Dot paths (`realm_access.roles`) or JSON pointers (`/https:~1~1x/groups`). */
  readonly claimPaths: { readonly subject: string; readonly groups?: string; readonly roles?: string; readonly email?: string; readonly emailVerified?: string; readonly name?: string; readonly clientId?: string }
  /** Extra claims that policies may read as `caller.claims.<name>`: name to path. */
  readonly claims: Readonly<Record<string, string>>
  readonly required: Readonly<Record<string, ClaimRule>>
  /** Raw group value to the name that policies use; a value that is not listed keeps its own name. */
  readonly groupNames: Readonly<Record<string, string>>
  /** E-mail counts only if verified and in one of these ASCII domains; empty: no e-mail is ever believed. */
  readonly emailDomains: readonly string[]
  readonly delegation: { readonly allowed: boolean; readonly actorIssuers: readonly string[] }
  readonly jwks: { readonly maxAgeMs: number; readonly maxStaleMs: number; readonly cooldownMs: number; readonly errorBackoffMs: number; readonly maxBytes: number; readonly timeoutMs: number }
  /** RFC 7662: for opaque tokens, and for a fresh look before a vote counts or a held action is released. */
  readonly introspection?: { readonly url: string; readonly clientId: string; readonly clientSecret: Secret; readonly opaqueTokens: boolean; readonly recheck: boolean }
}

/** A registered agent or service account, named by its subject or client id at an issuer. */
export interface AgentOptions {
  readonly name: string
  readonly issuer: string
  readonly subject: string
  readonly kind: 'agent' | 'workload'
  readonly owner: Party
  readonly groups: readonly string[]
}

export interface IdentityOptions {
  readonly issuers: readonly IssuerOptions[]
  readonly agents: readonly AgentOptions[]
  readonly cache: { readonly entries: number; readonly maxAgeMs: number }
  readonly maxTokenBytes: number
}
