/** A grant as a store keeps it: the sealed record, and beside it what a store has to search by. Hints for finding, like those of a hold. */
export interface GrantEntry {
  readonly id: string
  readonly revision: number
  /** By which a use finds it; absent once nothing may use it any more. */
  readonly useKey?: string
  /** The end of its time, by the store's clock. */
  readonly until: number
  readonly sealed: string
}

/**
 * Where grants live, beside the holds and by the same promises: each method that writes is one atomic step at the store, judged by its own clock,
 * and every method rejects with `store-unavailable` within 5 s when the store does not answer.
 */
export interface GrantStore {
  /** Writes a new one, to be kept for so long after its end. `false`: there is one of that id already. */
  add(entry: GrantEntry, keepMs: number): Promise<boolean>
  read(id: string): Promise<GrantEntry | undefined>
  /** Those that carry this key and whose time is not over, the oldest first. At most 20. */
  find(useKey: string): Promise<readonly GrantEntry[]>
  /**
   * Compare and set: writes `entry` if the stored one is at `revision` and, with `inTime`, its time is not over.
   * An entry with another end than the one that it was made with is a `conflict`.
   * Only reported as replaced once as many copies of the store as configured have acknowledged it.
   */
  replace(entry: GrantEntry, expected: { readonly revision: number; readonly inTime?: boolean }): Promise<'replaced' | 'conflict' | 'late' | 'missing'>
  /** Newest first. */
  list(query: { readonly after?: string; readonly limit: number }): Promise<{ readonly entries: readonly GrantEntry[]; readonly next?: string }>
}
