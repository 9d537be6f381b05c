import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { freeText } from '../audit/free-text.ts'
import { lineHead } from '../audit/line.ts'
import type { OptionsOf } from './options.ts'
import { type Answer, dataIn, isGood, makePost, refusalOf } from './post.ts'
import type { Sink, SinkLine } from './sink.ts'

/** Codes of the collector about what it was sent: no data, wrong format, no event, empty event, wrong fields. Others of status 400 (the index, the channel) are about the place. */
const aboutEvents: ReadonlySet<unknown> = new Set([5, 6, 12, 13, 15])
const tooLong: ReadonlySet<number> = new Set([413])
const never: ReadonlySet<number> = new Set([400, 413])

/**
 * Splunk's HTTP Event Collector. Its 200 says that events were received, not that they are kept: with `ack` a batch counts when the indexer has acknowledged it.
 * An acknowledgement is told once. Where that answer gets lost the batch is sent again, with the same ids, when the wait is over.
 */
export const makeSplunkSink = (options: OptionsOf<'splunk'>): Sink => {
  const post = makePost(options)
  const base = options.url.replace(/\/+$/, '')
  const channel = randomUUID()
  const headers = { 'content-type': 'application/json', authorization: `Splunk ${options.token.reveal()}`, ...(options.ackMs === undefined ? {} : { 'x-splunk-request-channel': channel }) }

  const ask = async (path: string, body: string, signal: AbortSignal): Promise<Readonly<Record<string, unknown>>> => {
    const answer = await post.send({ url: `${base}/services/collector/${path}`, headers, body }, AbortSignal.any([signal, AbortSignal.timeout(options.timeoutMs)]))
    const data = dataIn(answer) ?? {}
    if (!isGood(answer)) throw collectorSaid(answer, data)
    return data
  }

  const indexed = async (ackId: number, withinMs: number, signal: AbortSignal): Promise<void> => {
    const end = Date.now() + withinMs
    for (let wait = 50; Date.now() < end; wait = Math.min(wait * 2, 5_000)) {
      await pause(Math.min(wait, end - Date.now()), undefined, { signal })
      // Only `true` counts; a question that failed is asked again.
      const { acks } = await ask(`ack?channel=${channel}`, JSON.stringify({ acks: [ackId] }), signal).catch((): { readonly acks?: unknown } => (signal.throwIfAborted(), {}))
      if (typeof acks === 'object' && acks !== null && (acks as Readonly<Record<string, unknown>>)[String(ackId)] === true) return
    }
    throw new Error(`received, and not acknowledged by the indexer within ${withinMs} ms`)
  }

  return {
    limits: { lines: options.batchLines, bytes: options.batchBytes },
    timeoutMs: options.ackMs === undefined ? options.timeoutMs : 2 * options.timeoutMs + options.ackMs, // the events, the wait, and the last question
    deliver: async (lines, signal) => {
      const { code, ackId } = await ask('event', lines.map((line) => event(line, options)).join('\n'), signal)
      if (code !== 0) throw new Error('the answer is none of an event collector')
      if (options.ackMs === undefined) return
      if (!Number.isSafeInteger(ackId)) throw new Error('no acknowledgement is promised: is it switched on for this token?')
      await indexed(Number(ackId), options.ackMs, signal)
    },
    check: async (signal) => {
      const answer = await post.send({ url: `${base}/services/collector/event`, headers, body: '' }, signal)
      const data = dataIn(answer) ?? {}
      // "No data" is said to a token that is good.
      if (!isGood(answer) && data['code'] !== 5) throw collectorSaid(answer, data)
      return 'the token is good'
    },
    [Symbol.asyncDispose]: () => post[Symbol.asyncDispose](),
  }
}

const collectorSaid = (answer: Answer, { code, text }: Readonly<Record<string, unknown>>): Error => refusalOf(answer, aboutEvents.has(code) ? never : tooLong, typeof text === 'string' ? freeText(text) : '')

const event = ({ id, text, sent }: SinkLine, { sourcetype, index }: OptionsOf<'splunk'>): string => {
  const at = Date.parse(lineHead(text)?.time ?? '')
  const about = { ...(Number.isFinite(at) ? { time: at / 1_000 } : {}), host: id.split('/', 1)[0], source: 'countersign', sourcetype, ...(index === undefined ? {} : { index }), fields: { record_id: id } }
  return `${JSON.stringify(about).slice(0, -1)},"event":${sent}}`
}
