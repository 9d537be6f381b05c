import type { Hold } from './hold.ts'

/** The votes that met the terms, for one digest. Spent at most once: `hold` is then `running` and ours. */
export interface Approval {
  readonly hold: Hold
}
