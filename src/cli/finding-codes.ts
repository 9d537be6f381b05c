import type { FindingKind } from '../audit/log-report.ts'

/** Scripts tell by the exit code what is wrong; of several things, the first. */
export const findingCodes: Readonly<Record<FindingKind, number>> = { changed: 10, missing: 11, moved: 12, repeated: 13, inserted: 14, unreadable: 15, forked: 16, truncated: 17, forged: 18, unsigned: 20 }
export const logMissing = 19
export const nothingSigned = 20
/** Also not 21: receipts that contradict themselves have that. */
export const nothingCompared = 22
