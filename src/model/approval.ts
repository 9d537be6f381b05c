import type { Action } from './action.ts'
import type { Grant, GrantUse } from './grant.ts'
import type { Hold } from './hold.ts'

export type Approval = HeldApproval | GrantedApproval

/** The votes that met the terms, for one digest. Spent at most once: `hold` is then `running` and ours. */
export interface HeldApproval {
  readonly hold: Hold
  readonly grant?: undefined
  /** Nobody waits for it: it may be spent only while its terms let it run without its client. */
  readonly unattended?: true
  /** How long its client waits on, by the process's own clock, should another attempt run the hold first. Without it the client hears at once that it is spent. */
  readonly waits?: { readonly until: number; readonly signal: AbortSignal }
}

/** What approvers let through beforehand, for one action of the kind that they approved. */
export interface GrantedApproval {
  readonly grant: Grant
  /** With which it was given; that one runs by itself. */
  readonly hold: Hold
  readonly action: Action
  /** It is counted, and ours. */
  readonly use?: GrantUse
}
