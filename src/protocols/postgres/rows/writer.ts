/**
 * Rewrites the DataRow frames of one result as their bytes come.
 *
 *   at a frame boundary: while the next byte is 'D', push(chunk, at, out)
 *   it takes DataRows, whole or in part, until the chunk ends or another frame begins, and says where it stopped
 *   a notice may stand between rows: handle it, then push again
 *   the result ends with CommandComplete, PortalSuspended or ErrorResponse: `open` must be false then
 */
export interface RowWriter {
  /** Appends to `out` what the client gets: views of `chunk` where nothing had to change. Throws where a row is not well formed or too large. */
  push(chunk: Buffer, at: number, out: Buffer[]): number
  /** In the middle of a row: the next bytes belong to it. */
  readonly open: boolean
  /** Rows passed on. */
  readonly rows: number
  /** Values that a mask replaced. */
  readonly masked: number
  /** The row limit is passed: rows are now swallowed. Cancel the statement at the server and put `limitError` in the place of what ends the result. */
  readonly over: boolean
}
