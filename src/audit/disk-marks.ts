/** How full the disk of the journal is, as far as that has consequences. */
export type DiskMark = 'none' | 'warn' | 'alert' | 'deny-changes' | 'deny-all'

/** Percent of the disk. */
export interface DiskMarks {
  readonly warn: number
  readonly alert: number
  readonly denyChanges: number
  readonly denyAll: number
}

export interface DiskState {
  readonly mark: DiskMark
  /** Percent; absent where nobody could tell. */
  readonly used?: number
}

/** A mark that was passed is left again only so far below it: a disk that stays at its edge does not fill the log with that. */
const slack = 1

export const markOf = (used: number, { warn, alert, denyChanges, denyAll }: DiskMarks, before: DiskMark): DiskMark => {
  const steps: readonly (readonly [DiskMark, number])[] = [['deny-all', denyAll], ['deny-changes', denyChanges], ['alert', alert], ['warn', warn]]
  const stood = steps.findIndex(([mark]) => mark === before)
  const found = steps.find(([, at], index) => used >= at || (stood !== -1 && index >= stood && used >= at - slack))
  return found?.[0] ?? 'none'
}
