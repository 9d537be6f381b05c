import type { DiskMarks } from './disk-marks.ts'
import type { Durability } from './journal.ts'

export interface JournalOptions {
  readonly directory: string
  readonly replica: string
  readonly durability: { readonly read: Durability; readonly write: Durability; readonly held: Durability }
  /** A segment file is closed at this size and a new one begun. */
  readonly segmentBytes: number
  /** Below this much free space, appends are refused before the disk itself refuses them. */
  readonly minFreeBytes: number
  /** How full the disk may be before something is said, or refused. */
  readonly diskMarks?: DiskMarks
}
