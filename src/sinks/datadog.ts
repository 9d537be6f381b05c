import { lineHead } from '../audit/line.ts'
import type { OptionsOf } from './options.ts'
import { aboutLines, isGood, makePost, refusalOf } from './post.ts'
import { LineRefused, type Sink, type SinkLine } from './sink.ts'

/** What the intake takes at one time. A longer log it would cut, and say that all is well. */
const most = { logs: 1_000, batchBytes: 5_000_000, logBytes: 1_000_000 }
/** It drops what claims to be more than 18 hours old. Such a log leaves without a time of its own; the record inside says when it was. */
const oldestMs = 17 * 3_600_000

/** Datadog's log intake, version 2. */
export const makeDatadogSink = (options: OptionsOf<'datadog'>): Sink => {
  const post = makePost(options)
  const url = `${options.url.replace(/\/+$/, '')}/api/v2/logs`
  const headers = { 'content-type': 'application/json', 'dd-api-key': options.apiKey.reveal() }
  const about = { ddsource: 'countersign', service: options.service, ddtags: options.tags.join(',') }
  return {
    limits: { lines: Math.min(options.batchLines, most.logs), bytes: options.batchBytes },
    timeoutMs: options.timeoutMs,
    deliver: async (lines, signal) => {
      const logs = lines.map((line) => JSON.stringify({ ...about, ...logOf(line) }))
      if (logs.some((log) => Buffer.byteLength(log) > most.logBytes)) throw new LineRefused('longer than what Datadog takes whole')
      for (const body of bodies(logs)) {
        const answer = await post.send({ url, headers, body }, signal)
        if (!isGood(answer)) throw refusalOf(answer, aboutLines)
      }
    },
    [Symbol.asyncDispose]: () => post[Symbol.asyncDispose](),
  }
}

const logOf = ({ id, text, sent }: SinkLine): object => {
  const time = lineHead(text)?.time
  const isRecent = time !== undefined && Date.now() - Date.parse(time) < oldestMs
  return { ...(isRecent ? { timestamp: time } : {}), hostname: id.split('/', 1)[0], record_id: id, message: sent }
}

/** In order, each as long as one request may be. */
function* bodies(logs: readonly string[]): Generator<string> {
  let body = ''
  for (const log of logs) {
    if (body !== '' && Buffer.byteLength(body) + Buffer.byteLength(log) + 2 > most.batchBytes) {
      yield `[${body}]`
      body = ''
    }
    body += body === '' ? log : `,${log}`
  }
  yield `[${body}]`
}
