import type { JournalLine } from '../audit/journal.ts'
import type { Severity } from '../audit/ocsf/event.ts'
import { ocsfLine } from '../audit/ocsf/line.ts'
import { ocsfOf } from '../audit/ocsf/mapping.ts'
import { isObject, type RecordData } from '../audit/record-data.ts'
import type { Sink, SinkLine } from './sink.ts'

/** `record`: the line of the journal. `ocsf`: an event of OCSF 1.8 with the record in it. */
export type Format = 'record' | 'ocsf'

const writers: Readonly<Record<Format, (text: string) => string>> = {
  record: (text) => text,
  ocsf: (text) => ocsfLine(dataOf(text)),
}

/** A sink that is handed lines of the journal and gets them in their form for outside. */
export const inFormat = (format: Format, sink: Sink): Sink<JournalLine> => {
  const write = writers[format]
  const outward = (line: JournalLine): SinkLine => ({ ...line, sent: write(line.text) })
  return { ...sink, deliver: (lines, signal) => sink.deliver(lines.map(outward), signal) }
}

/** Of a line of the journal: 1 informational, 2 low, 3 medium, 4 high, 5 critical. */
export const severityOf = (text: string): Severity => ocsfOf(dataOf(text)).severity_id

/** A line that was damaged has been replaced by one that says so; still nothing is believed to be there. */
const dataOf = (text: string): RecordData => {
  try {
    const value: unknown = JSON.parse(text)
    if (isObject(value)) return value
  } catch {
    // told as what it is
  }
  return { type: 'damaged-line', bytes: text.length }
}
