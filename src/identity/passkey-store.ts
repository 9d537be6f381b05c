/** A passkey as a store keeps it. Both names are hashes; `sealed` is read and believed only by whoever sealed it. */
export interface PasskeyEntry {
  readonly name: string
  /** The account whose it is, for good. */
  readonly owner: string
  /** 1, and one more with each change. */
  readonly revision: number
  readonly sealed: string
}

/**
 * Where passkeys live, seen by every replica, until they are removed. Each method that writes is one atomic step at the store.
 * Every method rejects with a `store-unavailable` refusal within 5 s when the store does not answer: then nobody has one.
 */
export interface PasskeyStore extends AsyncDisposable {
  /** `known`: there is one of that name, whoever has it. `full`: its owner has `perOwner` already. */
  add(entry: PasskeyEntry, perOwner: number): Promise<'added' | 'known' | 'full'>
  find(name: string): Promise<PasskeyEntry | undefined>
  /** All of this owner, in the order of their names. */
  list(owner: string): Promise<readonly PasskeyEntry[]>
  /** Compare and set: writes it if it is at the revision before, and of this owner. */
  replace(entry: PasskeyEntry): Promise<'replaced' | 'conflict' | 'missing'>
  /** Says whether this owner had it. */
  remove(name: string, owner: string): Promise<boolean>
}
