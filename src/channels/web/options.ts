import type { Secret } from '../../lib/secret.ts'
import type { CertificateFiles } from '../../lib/tls-server.ts'

export interface ConsoleOptions {
  readonly host: string
  readonly port: number
  /** Where people and tools reach it: an origin, `https://approvals.example.org`. */
  readonly url: string
  /** Further values of `Host` that are ours, with a port or for any port. */
  readonly hosts: readonly string[]
  readonly tls?: CertificateFiles
  /** Approvers' tokens must carry this audience, beside being valid at their issuer. */
  readonly audience?: string
  /** What `countersign login` needs to know. Public by nature. */
  readonly login?: LoginInfo
  /** How people log in with a browser; without it there are no pages, only the API. */
  readonly signIn?: SignInOptions
  /** Live event streams that may be open at one time, in all and for one person. */
  readonly streams: { readonly total: number; readonly perViewer: number }
}

export interface SignInOptions {
  /** The exact `iss`; its discovery document tells the rest. */
  readonly issuer: string
  readonly clientId: string
  /** Absent for a public client; PKCE is used either way. */
  readonly clientSecret?: Secret
  readonly scopes: readonly string[]
  /** A session that nobody uses ends after this. */
  readonly idleMs: number
  /** A session ends after this. */
  readonly maxAgeMs: number
  readonly stepUp: StepUpOptions
}

/** A fresh login of somebody who is logged in, for what a session alone is not good enough for. */
export interface StepUpOptions {
  /** How it has to be made, by the issuer's names: asked for, and one of them demanded. */
  readonly acrValues: readonly string[]
  /** How long it is good for. */
  readonly withinMs: number
}

export interface LoginInfo {
  readonly issuer: string
  readonly clientId: string
  readonly scopes: readonly string[]
  /** The resource to ask a token for, where the issuer wants one. */
  readonly resource?: string
}

/** Health and reload: for the machine it runs on and its orchestrator, never for the network. */
export interface AdminOptions {
  readonly host: string
  readonly port: number
}
