/** What running an action did. `unknown`: bytes went out and nobody can say whether they had an effect. */
export interface Outcome {
  readonly result: 'executed' | 'failed' | 'unknown'
  /** HTTP status, SQLSTATE, JSON-RPC code: the protocol's own word. */
  readonly status?: string
  readonly rows?: number
  readonly bytes?: number
  readonly maskedValues?: number
  readonly ms: number
  /** Why it failed, in words fit for the log; never shown to the client. */
  readonly cause?: string
}
