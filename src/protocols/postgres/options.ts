import type { Secret } from '../../lib/secret.ts'
import type { CertificateFiles } from '../../lib/tls-server.ts'

/** A role at the server and what opens it. */
export interface PostgresRole {
  readonly user: string
  readonly password?: Secret
}

/** `disable`: plaintext. `require`: TLS with whoever answers. `verify-ca`: somebody whom the authority knows. `verify-full`: also under the right name. */
export type UpstreamTls = 'verify-full' | 'verify-ca' | 'require' | 'disable'

/** A database server and how we log in there. Nothing in here comes from a client. */
export interface PostgresTarget {
  readonly host: string
  readonly port: number
  readonly tls: UpstreamTls
  readonly caFile?: string
  /** The database there. */
  readonly database: string
  /** Ways of logging in beside SCRAM-SHA-256 that this server may ask for. `cleartext` counts inside verified TLS only. */
  readonly allow: readonly ('md5' | 'cleartext' | 'trust')[]
  /** SCRAM iterations below this are refused: whoever sees such a proof can guess the password cheaply. */
  readonly leastIterations: number
  /** Pinned for every session; absent: what the server has for the role. */
  readonly searchPath?: string
  /** From the first byte to the first ReadyForQuery. */
  readonly connectTimeoutMs: number
}

export interface PostgresServiceOptions extends PostgresTarget {
  readonly name: string
  /** What clients may call the database. */
  readonly databases: readonly string[]
  /** Tokens must carry this audience, beside being valid at their issuer. */
  readonly audience?: string
  /** The role for every user name without one of its own in `roles`. */
  readonly credential: PostgresRole
  /** By the client's user name. */
  readonly roles: ReadonlyMap<string, PostgresRole>
  /** How long a hold may keep a transaction open that has written. */
  readonly hold: { readonly inTransactionMs: number }
}

export interface PostgresListenerOptions {
  readonly host: string
  readonly port: number
  readonly tls?: CertificateFiles
  /** Who may send a token without TLS. */
  readonly plaintext: 'loopback' | 'anywhere' | 'never'
  /** How clients say who they are. One connection can be offered one of them. */
  readonly login: 'password' | 'oauthbearer'
  /** For `oauthbearer`: where clients find the way to a token. */
  readonly oauth?: { readonly discoveryUrl: string; readonly scope: string }
  readonly limits: {
    readonly connections: number
    readonly connectionsPerCaller: number
    readonly tokenBytes: number
    /** Longest text of one statement or batch. */
    readonly sqlBytes: number
    /** Longest Bind and longest piece of a COPY. */
    readonly parameterBytes: number
  }
  readonly timeouts: {
    /** Until a client is logged in, our login at the server included. */
    readonly startupMs: number
    /** How often the identity behind an open connection is checked again. */
    readonly sessionRecheckMs: number
  }
  readonly services: readonly PostgresServiceOptions[]
  /** Where approvers decide; shown to whoever waits. */
  readonly consoleUrl: string
}
