import type { Hold } from './hold.ts'

/** The votes that met the terms, for one digest. Spent at most once: `hold` is then `running` and ours. */
export interface Approval {
  readonly hold: Hold
  /** Nobody waits for it: it may be spent only while its terms let it run without its client. */
  readonly unattended?: true
  /** How long its client waits on, by the process's own clock, should another attempt run the hold first. Without it the client hears at once that it is spent. */
  readonly waits?: { readonly until: number; readonly signal: AbortSignal }
}
