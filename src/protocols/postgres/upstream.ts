import type { Duplex } from 'node:stream'

/** A session at the server, logged in and idle. Whoever holds it owns the socket; disposing ends it. */
export interface Backend extends AsyncDisposable {
  /** Without listeners and paused. */
  readonly socket: Duplex
  /** What the server has reported of its settings so far. */
  readonly parameters: ReadonlyMap<string, string>
  readonly pid: number
  /** For a cancel at the server. Never shown to a client. */
  readonly key: Buffer
  /** The minor version of protocol 3 that is spoken. */
  readonly protocol: number
  /** What the server sent behind its first ReadyForQuery. */
  readonly rest: Buffer
  /** Asks the server, over a connection of its own, to stop what this session runs. Resolves when the server has taken note; rejects when nobody could be reached. */
  cancel(signal: AbortSignal): Promise<void>
}
