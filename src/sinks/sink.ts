import type { JournalLine } from '../audit/journal.ts'

/** A line of the journal on its way out. `text` stays the line; `sent` is the form of it that leaves: one JSON object on one line. */
export interface SinkLine extends JournalLine {
  readonly sent: string
}

/** A place outside that takes lines of the journal. Driven by one tail; never called twice at the same time. */
export interface Sink<Line extends JournalLine = SinkLine> extends AsyncDisposable {
  /** The largest batch it wants. */
  readonly limits: { readonly lines: number; readonly bytes: number }
  /** For places that want few large batches: how long lines may wait for others to fill one. */
  readonly gatherMs?: number
  /** How long one delivery may take. */
  readonly timeoutMs: number
  /**
   * Resolves when the place has taken all lines, as durably as it can say. Rejects with `LineRefused` when it will never take them as they are,
   * with `Busy` when it named a time to come back, with anything else when the same lines may go through later. Lines may then have arrived: the tail sends them again.
   */
  deliver(lines: readonly Line[], signal: AbortSignal): Promise<void>
  /** The id of the last record that is safe there, where that is not the last one delivered. Asked after each delivery. */
  safe?(): string | undefined
  /** Somebody waits for records to be safe there: called before the next ones are read. */
  urge?(): Promise<void>
  /** Asks the place, without sending it anything to keep, whether it would take records. Resolves with what can be said, rejects with what is wrong. Absent where only sending would tell. */
  check?(signal: AbortSignal): Promise<string>
  /** After the log file was moved away; only files care. */
  reopen?(): void
}

/** The place will never take them: all that were given, or some of them and it does not matter which, because halves of them are tried next. */
export class LineRefused extends Error {
  override readonly name = 'LineRefused'
}
