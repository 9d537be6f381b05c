/** What a client presents to say who it is. */
export interface Claim {
  readonly token: string
  readonly from: 'authorization' | 'x-api-key' | 'password' | 'cookie'
  /** Network address of the client, for the record. */
  readonly address: string
  /** Narrows the issuer's own audiences where a service asks for one of its own. */
  readonly audience?: string
}
