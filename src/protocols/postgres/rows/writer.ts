import { Refusal } from '../../../model/refusal.ts'

/**
 * Rewrites the DataRow frames of one result as their bytes come.
 *
 *   at a frame boundary: while the next byte is 'D', push(chunk, at, out)
 *   it takes DataRows, whole or in part, until the chunk ends or another frame begins, and says where it stopped
 *   a notice may stand between rows: handle it, then push again
 *   the result ends with CommandComplete, PortalSuspended or ErrorResponse: `open` must be false then
 */
export interface RowWriter {
  /** Appends to `out` what the client gets: views of `chunk` where nothing had to change. Nothing else of `chunk` is kept. Throws a Refusal where a row is not well formed or too large. */
  push(chunk: Buffer, at: number, out: Buffer[]): number
  /** Memory that the last push filled, of which nobody else has a part. */
  readonly made: ArrayBufferLike | undefined
  /** In the middle of a row: the next bytes belong to it. */
  readonly open: boolean
  /** Rows passed on. */
  readonly rows: number
  /** Values that a mask replaced. */
  readonly masked: number
  /** The row limit is passed: rows are now swallowed. Cancel the statement at the server and put `limitError` in the place of what ends the result. */
  readonly over: boolean
}

/** Rows that may still pass, of all results that share a limit. */
export interface Allowance {
  left: number
}

/** What is left of a cursor's: the policy may have changed since it was opened. */
export class CursorAllowance implements Allowance {
  left: number
  #most: number

  constructor(most: number) {
    this.left = this.#most = most
  }

  set most(most: number) {
    this.left += most - this.#most
    this.#most = most
  }
}

export const dataRow = 0x44

export const brokenRow = (cause: string): Refusal => new Refusal('upstream-unavailable', 'The service sent what is not the PostgreSQL protocol.', { cause })

/** Counts rows and lets them pass as they come, however long they are. Keeps no bytes. */
export class CountingWriter implements RowWriter {
  rows = 0
  readonly masked = 0
  readonly made = undefined
  over = false
  readonly #allowance: Allowance
  /** Bytes of the row that are still to come. */
  #owed = 0
  /** Bytes of a cut header that have come, and what they say so far. */
  #header = 0
  #length = 0

  constructor(allowance: Allowance) {
    this.#allowance = allowance
  }

  get open(): boolean {
    return this.#owed > 0 || this.#header > 0
  }

  push(chunk: Buffer, at: number, out: Buffer[]): number {
    const end = chunk.length
    let pos = at
    while (pos < end) {
      if (this.#owed > 0) {
        const take = Math.min(this.#owed, end - pos)
        this.#owed -= take
        pos += take
      } else if (this.#header > 0) {
        this.#length = this.#length * 256 + (chunk[pos++] as number)
        if (++this.#header === 5) this.#begin(this.#length)
      } else {
        if (chunk[pos] !== dataRow) break
        if (!this.over && this.#allowance.left <= 0) {
          pass(chunk, at, pos, out)
          this.over = true
        }
        if (!this.over) {
          this.rows++
          this.#allowance.left--
        }
        if (end - pos < 5) {
          this.#header = 1
          this.#length = 0
          pos++
        } else {
          this.#begin(chunk.readUInt32BE(pos + 1))
          pos += 5
        }
      }
    }
    if (!this.over) pass(chunk, at, pos, out)
    return pos
  }

  #begin(length: number): void {
    if (length < 6 || length > 2 ** 31) throw brokenRow(`a row announces the impossible length ${length}`)
    this.#header = 0
    this.#owed = length - 4
  }
}

export const pass = (chunk: Buffer, from: number, to: number, out: Buffer[]): void => {
  if (to > from) out.push(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to))
}
