import { freeText } from '../audit/free-text.ts'
import { lineHead } from '../audit/line.ts'
import type { Severity } from '../audit/ocsf/event.ts'
import { severityOf } from './format.ts'
import type { OptionsOf } from './options.ts'
import { type Answer, dataIn, isGood, makePost, refusalOf } from './post.ts'
import { LineRefused, type Sink, type SinkLine } from './sink.ts'

const never: ReadonlySet<number> = new Set([400, 413])

/**
 * OpenTelemetry logs by OTLP/HTTP in JSON. The body of a log record is the text that leaves, unchanged; `log.record.uid` is the record's id.
 * A 200 may say that some were rejected, and not which: the batch is halved until that is known.
 */
export const makeOtlpSink = (options: OptionsOf<'otlp'>): Sink => {
  const post = makePost(options)
  const headers = { 'content-type': 'application/json', ...Object.fromEntries(options.headers.map(({ name, value }) => [name, value.reveal()])) }
  return {
    limits: { lines: options.batchLines, bytes: options.batchBytes },
    timeoutMs: options.timeoutMs,
    deliver: async (lines, signal) => {
      const [replica = ''] = (lines[0]?.id ?? '').split('/', 1)
      const resource = { attributes: [attribute('service.name', options.service), attribute('service.instance.id', replica)] }
      const body = JSON.stringify({ resourceLogs: [{ resource, scopeLogs: [{ scope: { name: 'countersign' }, logRecords: lines.map(logRecord) }] }] })
      const answer = await post.send({ url: options.url, headers, body }, signal)
      if (!isGood(answer)) throw refusalOf(answer, never)
      const rejected = rejectedIn(answer)
      if (rejected !== undefined) throw new LineRefused(rejected)
    },
    check: async (signal) => {
      const answer = await post.send({ url: options.url, headers, body: '{"resourceLogs":[]}' }, signal)
      if (!isGood(answer)) throw refusalOf(answer)
      return 'it takes logs'
    },
    [Symbol.asyncDispose]: () => post[Symbol.asyncDispose](),
  }
}

/** By the severity of OCSF, the numbers of OpenTelemetry. */
const severities: Readonly<Record<Severity, readonly [number, string]>> = { 1: [9, 'INFO'], 2: [10, 'INFO2'], 3: [13, 'WARN'], 4: [17, 'ERROR'], 5: [21, 'FATAL'] }

const attribute = (key: string, stringValue: string): object => ({ key, value: { stringValue } })

const logRecord = ({ id, text, sent }: SinkLine): object => {
  const head = lineHead(text)
  const at = Date.parse(head?.time ?? '')
  const [severityNumber, severityText] = severities[severityOf(text)]
  return {
    ...(Number.isFinite(at) ? { timeUnixNano: `${at}000000`, observedTimeUnixNano: `${at}000000` } : {}),
    severityNumber,
    severityText,
    ...(head === undefined ? {} : { eventName: `countersign.${head.type}` }),
    body: { stringValue: sent },
    attributes: [attribute('log.record.uid', id)],
  }
}

/** What the collector says of records that it rejected; a word of warning beside none is no rejection. */
const rejectedIn = (answer: Answer): string | undefined => {
  if (answer.text.trim() !== '' && dataIn(answer) === undefined) throw new Error('the answer is none of a collector')
  const { rejectedLogRecords, errorMessage } = (dataIn(answer)?.['partialSuccess'] ?? {}) as { readonly rejectedLogRecords?: unknown; readonly errorMessage?: unknown }
  const count = Number(rejectedLogRecords ?? 0)
  if (count === 0) return undefined
  return freeText(`rejected${typeof errorMessage === 'string' ? `: ${errorMessage}` : ''}`)
}
