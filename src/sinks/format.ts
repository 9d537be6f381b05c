import type { JournalLine } from '../audit/journal.ts'
import type { Sink, SinkLine } from './sink.ts'

/** `record`: the line of the journal. */
export type Format = 'record'

const writers: Readonly<Record<Format, (line: JournalLine) => string>> = {
  record: ({ text }) => text,
}

/** A sink that is handed lines of the journal and gets them in their form for outside. */
export const inFormat = (format: Format, sink: Sink): Sink<JournalLine> => {
  const write = writers[format]
  const outward = (line: JournalLine): SinkLine => ({ ...line, sent: write(line) })
  return { ...sink, deliver: (lines, signal) => sink.deliver(lines.map(outward), signal) }
}
