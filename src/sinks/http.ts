import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { OptionsOf } from './options.ts'
import { isGood, makePost, refusalOf } from './post.ts'
import type { Sink } from './sink.ts'

const compress = promisify(gzip)

/** Posts batches. A batch counts as taken when the whole of a 2xx answer has arrived. */
export const makeHttpSink = (options: OptionsOf<'http'>): Sink => {
  const post = makePost(options)
  const headers = {
    'content-type': options.body === 'ndjson' ? 'application/x-ndjson' : 'application/json',
    ...(options.gzip ? { 'content-encoding': 'gzip' } : {}),
    ...(options.authorization ? { authorization: options.authorization.reveal() } : {}),
  }
  return {
    limits: { lines: options.batchLines, bytes: options.batchBytes },
    timeoutMs: options.timeoutMs,
    deliver: async (lines, signal) => {
      const texts = lines.map(({ sent }) => sent)
      const text = options.body === 'ndjson' ? `${texts.join('\n')}\n` : `[${texts.join(',')}]`
      const answer = await post.send({ url: options.url, headers, body: options.gzip ? await compress(text) : text }, signal)
      if (!isGood(answer)) throw refusalOf(answer)
    },
    [Symbol.asyncDispose]: () => post[Symbol.asyncDispose](),
  }
}
