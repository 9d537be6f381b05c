import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { Agent, request } from 'undici'
import { Busy, readText, retryAfter } from '../lib/receiver.ts'
import type { SinkOptions } from './options.ts'
import { LineRefused, type Sink } from './sink.ts'

type HttpOptions = Extract<SinkOptions, { readonly kind: 'http' }>

const compress = promisify(gzip)
/** No batch will ever pass that these answers are given to. Others (401, 404, 5xx) speak about the place, not about the lines. */
const never: ReadonlySet<number> = new Set([400, 413, 422])
const waits = { least: 0, most: 300_000 }

/** Posts batches. A batch counts as taken when the whole of a 2xx answer has arrived. Redirects are errors: the lines and the authorization go to the configured place or nowhere. */
export const makeHttpSink = (options: HttpOptions): Sink => {
  const url = new URL(options.url)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw new Error(`sink ${options.name}: an http or https URL is wanted`)
  if (url.username !== '' || url.password !== '') throw new Error(`sink ${options.name}: credentials belong into authorization, not into the URL`)
  const agent = new Agent({ connections: 1, pipelining: 1, connect: { timeout: options.timeoutMs }, headersTimeout: options.timeoutMs, bodyTimeout: options.timeoutMs })
  const headers = {
    'content-type': options.format === 'ndjson' ? 'application/x-ndjson' : 'application/json',
    'user-agent': 'countersign',
    ...(options.gzip ? { 'content-encoding': 'gzip' } : {}),
    ...(options.authorization ? { authorization: options.authorization.reveal() } : {}),
  }

  return {
    limits: { lines: options.batchLines, bytes: options.batchBytes },
    timeoutMs: options.timeoutMs,
    deliver: async (lines, signal) => {
      const texts = lines.map(({ text }) => text)
      const text = options.format === 'ndjson' ? `${texts.join('\n')}\n` : `[${texts.join(',')}]`
      const { statusCode, headers: answered, body } = await request(url, { method: 'POST', headers, body: options.gzip ? await compress(text) : text, dispatcher: agent, signal })
      await readText(body)
      if (statusCode >= 200 && statusCode < 300) return
      const said = `HTTP ${statusCode}`
      if (never.has(statusCode)) throw new LineRefused(said)
      const wait = retryAfter(answered['retry-after'], waits)
      throw wait === undefined ? new Error(said) : new Busy(said, wait)
    },
    [Symbol.asyncDispose]: () => agent.destroy(),
  }
}
