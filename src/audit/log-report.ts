/**
 * changed    a record is not what the one after it, or a signature, says
 * missing    records are not there that others prove
 * moved      records are there, and not in their place
 * repeated   a record is there twice
 * inserted   a record is there that nothing vouches for
 * unreadable a line is no record
 * forked     a log has other records than a checkpoint from elsewhere says: there were two of them
 * truncated  a log has fewer records than a checkpoint from elsewhere says
 * forged     a signature is not of what it stands under, or of nobody who is known
 * unsigned   records have gone on without a signature for longer than any replica does
 */
export type FindingKind = 'changed' | 'missing' | 'moved' | 'repeated' | 'inserted' | 'unreadable' | 'forked' | 'truncated' | 'forged' | 'unsigned'

export interface Finding {
  readonly kind: FindingKind
  /** `{replica}/{epoch}/{seq}`: the first record that is not right. */
  readonly at: string
  readonly text: string
}

export interface LogReport {
  readonly replica: string
  readonly records: number
  readonly first?: string
  readonly last?: string
  /** So many of them, from the first on, are what somebody known has signed. Nothing is claimed of the others. */
  readonly signed: number
  /** Records behind the last signature, without the one that it stands in. */
  readonly behind: number
  /** What came before the first was not given, so nothing is known of it. */
  readonly beginsLate: boolean
  /** There are signatures of somebody known that cannot be compared, because the first records of their start were not given. */
  readonly uncompared: boolean
  /** How far known witnesses have seen it; where no witnesses are known, nothing. Nothing is claimed of what they have not seen. */
  readonly witnessed?: readonly Witnessed[]
  /** The first thing that is wrong; nothing behind it was looked at. */
  readonly finding?: Finding
}

export interface Witnessed {
  readonly witness: string
  /** The last record that it has seen, by the hash over all of its start. */
  readonly upTo: string
  /** So many records are there up to it. */
  readonly records: number
  /** By the clock of the witness. */
  readonly at: string
}
