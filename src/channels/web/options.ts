export interface ConsoleOptions {
  readonly host: string
  readonly port: number
  /** Where people and tools reach it: an origin, `https://approvals.example.org`. */
  readonly url: string
  /** Further values of `Host` that are ours, with a port or for any port. */
  readonly hosts: readonly string[]
  readonly tls?: { readonly certFile: string; readonly keyFile: string }
  /** Approvers' tokens must carry this audience, beside being valid at their issuer. */
  readonly audience?: string
  /** What `countersign login` needs to know. Public by nature. */
  readonly login?: LoginInfo
  /** Live event streams that may be open at one time, in all and for one person. */
  readonly streams: { readonly total: number; readonly perViewer: number }
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
