import type { TraceSearch } from '../lineage/trace.ts'
import type { AuditQuestion } from './question.ts'
import type { ActionSummary } from './summary.ts'

/** One record as it stands in the log. */
export interface FoundRecord {
  /** `{replica}/{epoch}/{seq}` */
  readonly id: string
  /** The line without its newline: its bytes are what is signed. */
  readonly text: string
}

/** With the action that it belongs to. */
export interface Hit extends FoundRecord {
  readonly summary: ActionSummary
}

export interface FoundPage {
  /** Newest first. */
  readonly records: readonly Hit[]
  /** Where the next page begins. */
  readonly next?: string
  /** How many there are in all, up to `mostCounted`. */
  readonly count: number
  readonly counted: 'all' | 'more'
}

/** How far the index is behind the log. */
export interface IndexState {
  readonly records: number
  /** Of the log's bytes, so many have been read. */
  readonly bytes: number
  readonly ofBytes: number
  /** Time of the newest record that is found. */
  readonly until?: string
  /** Lines that are no records. `audit verify` says where. */
  readonly unreadable: number
}

/** That a record is one of those that were signed. */
export interface RecordProof {
  /** As C2SP writes it. */
  readonly proof: string
  readonly record: FoundRecord
}

/** Finds records. What it knows, it has from the log's files; the log never waits for it, and it can be made anew at any time. */
export interface AuditSearch extends TraceSearch {
  /** Refused as `malformed` where nothing can be looked for. */
  search(question: AuditQuestion, page: { readonly after?: string; readonly limit: number }): Promise<FoundPage>
  record(id: string): Promise<FoundRecord | undefined>
  /** All records of the same action, in their order: of its tries, its hold, the votes, its end. Those of one of these names: attempt, hold, code, or a record's id. */
  caseOf(name: string): Promise<readonly FoundRecord[]>
  /** `undefined`: no such record. `unsigned`: nothing behind it has been signed yet. */
  prove(id: string): Promise<RecordProof | 'unsigned' | undefined>
  state(): Promise<IndexState>
}

export const mostCounted = 1_000
export const mostOfOneCase = 500
export const mostOnOnePage = 200
