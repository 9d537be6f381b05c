/** A login as a store keeps it. All names are hashes; `sealed` is read and believed only by whoever sealed it. */
export interface SessionEntry {
  readonly name: string
  /** By which it is ended together with others: the account first, then its login at the issuer. */
  readonly owners: readonly string[]
  readonly sealed: string
}

/**
 * Where logins live, seen by every replica. By the store's own clock. Every method rejects with a `store-unavailable` refusal within 5 s
 * when the store does not answer: then nobody is logged in.
 */
export interface SessionStore extends AsyncDisposable {
  /** Keeps it until nobody has used it for `idleMs`, and never longer than `atMostMs`. Of the entries of its first owner only the `perOwner` newest stay. */
  put(entry: SessionEntry, limits: { readonly idleMs: number; readonly atMostMs: number; readonly perOwner: number }): Promise<void>
  /** What was sealed. Used within `idleMs`, it starts that time anew; without `idleMs` it is only looked at. */
  find(name: string, idleMs?: number): Promise<string | undefined>
  end(name: string): Promise<void>
  /** Ends every entry of this owner, and says how many there were. */
  endAll(owner: string): Promise<number>
  /** Whether this name comes for the first time within `keepMs`. */
  first(name: string, keepMs: number): Promise<boolean>
}
