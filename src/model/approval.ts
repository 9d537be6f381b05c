import type { Hold } from './hold.ts'

/** The votes that met the terms, for one digest. Spent at most once: `hold` is then `running` and ours. */
export interface Approval {
  readonly hold: Hold
  /** Nobody waits for it: it may be spent only while its terms let it run without its client. */
  readonly unattended?: true
}
