/** Whose an account of a chat is, as a store keeps it. Both names are hashes; `sealed` is read and believed only by whoever sealed it. */
export interface LinkEntry {
  /** The account: it belongs to one person at most. */
  readonly account: string
  /** The person within one workspace: there they have one account at most. */
  readonly person: string
  readonly sealed: string
}

/**
 * Where the links between accounts of chats and people live, and what was last known of these people; seen by every replica. By the store's own clock.
 * Every method rejects with a `store-unavailable` refusal within 5 s when the store does not answer: then nobody is known.
 */
export interface LinkStore extends AsyncDisposable {
  /** In one atomic step. `taken`: one of the two is linked with another, and nothing has changed. The same two begin anew. */
  link(entry: LinkEntry, keepMs: number): Promise<'linked' | 'taken'>
  byAccount(account: string): Promise<LinkEntry | undefined>
  byPerson(person: string): Promise<LinkEntry | undefined>
  /** Ends the link of exactly these two, and says whether there was one. */
  unlink(entry: Pick<LinkEntry, 'account' | 'person'>): Promise<boolean>
  /** Keeps what is known of somebody, in place of what was known before. */
  know(name: string, sealed: string, keepMs: number): Promise<void>
  known(name: string): Promise<string | undefined>
  forget(name: string): Promise<void>
  /** Whether this name comes for the first time within `keepMs`. */
  first(name: string, keepMs: number): Promise<boolean>
}
