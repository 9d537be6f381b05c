import type { AuditEvent } from '../model/audit-event.ts'

/**
 * How far a record must have got before the caller may go on.
 * `queued`: in memory, in order; used only for records whose loss cannot hide an effect.
 * `written`: handed to the operating system; survives the death of this process, not of the machine.
 * `synced`: on the disk; survives both.
 */
export type Durability = 'queued' | 'written' | 'synced'

/** One line of the journal as it stands in the file and leaves through the sinks: a JSON object without its newline. */
export interface JournalLine {
  /** `{replica}/{epoch}/{seq}`: unique for ever, the id by which sinks remove duplicates. */
  readonly id: string
  readonly seq: number
  readonly text: string
}

/** Opaque position behind a line; what a sink stores when that line is safe elsewhere. */
export type JournalCursor = string

/**
 * The one ordered record of this replica. One writer a directory.
 * Any failure to write or sync is final: every later append rejects with `journal-unavailable`, so nothing runs unrecorded.
 */
export interface Journal extends AsyncDisposable {
  /** Resolves once the record is as durable as asked; records become durable in the order in which they were appended. */
  append(event: AuditEvent, durability: Durability): Promise<void>
  /** Throws the refusal that `append` would reject with; for health checks. */
  check(): void
  /** Written lines after the cursor, oldest first, across epochs; an empty answer means that there is nothing yet. */
  read(after: JournalCursor | undefined, limits: { readonly lines: number; readonly bytes: number }): Promise<{ readonly lines: readonly JournalLine[]; readonly cursor: JournalCursor | undefined }>
  /** Resolves when something may have been written after this call, or when the signal fires. */
  more(signal: AbortSignal): Promise<void>
}
