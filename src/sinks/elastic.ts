import { lineHead } from '../audit/line.ts'
import { freeText } from '../audit/free-text.ts'
import type { OptionsOf } from './options.ts'
import { type Answer, dataIn, isGood, makePost, refusalOf } from './post.ts'
import { LineRefused, type Sink, type SinkLine } from './sink.ts'

const tooLong: ReadonlySet<number> = new Set([413])
/** Errors about a document. Others of status 400 (an index that is closed, say) are about the place. */
const aboutDocument: ReadonlySet<string> = new Set(['mapper_parsing_exception', 'document_parsing_exception', 'strict_dynamic_mapping_exception', 'illegal_argument_exception'])
/** About the index as well: it takes the same document once somebody has raised its limit. Only what stands first is the place's own word. */
const fullIndex = /^Limit of total fields \[\d+\]/

interface Failed {
  readonly status: number
  readonly type: string
  readonly reason: string
}

/**
 * Elasticsearch and OpenSearch, by the bulk API. Each document is created under the id of its record: one that is there already answers 409, which is as good.
 * The answer is 200 also where documents failed, so each is looked at.
 */
export const makeElasticSink = (options: OptionsOf<'elastic'>): Sink => {
  const post = makePost(options)
  const url = `${options.url.replace(/\/+$/, '')}/${encodeURIComponent(options.index)}/_bulk?filter_path=items.*._id,items.*.status,items.*.error.type,items.*.error.reason`
  const headers = { 'content-type': 'application/x-ndjson', ...(options.authorization ? { authorization: options.authorization.reveal() } : {}) }
  return {
    limits: { lines: options.batchLines, bytes: options.batchBytes },
    timeoutMs: options.timeoutMs,
    deliver: async (lines, signal) => {
      const answer = await post.send({ url, headers, body: lines.map(document).join('') }, signal)
      if (!isGood(answer)) throw refusalOf(answer, tooLong)
      const failed = failedIn(answer, lines)
      const passing = failed.find(({ status, type, reason }) => !(status === 400 && aboutDocument.has(type) && !fullIndex.test(reason)))
      if (passing) throw new Error(causeOf(passing))
      if (failed[0]) throw new LineRefused(causeOf(failed[0]))
    },
    check: async (signal) => {
      const answer = await post.send({ method: 'GET', url: url.slice(0, url.indexOf('/_bulk')), headers }, signal)
      if (answer.status === 404) return `there is no ${options.index} yet; the first record makes it, where that is allowed`
      if (!isGood(answer)) throw refusalOf(answer)
      return `${options.index} is there`
    },
    [Symbol.asyncDispose]: () => post[Symbol.asyncDispose](),
  }
}

/** Data streams want `@timestamp`, and take nothing but `create`. */
const document = ({ id, text, sent }: SinkLine): string => `{"create":{"_id":${JSON.stringify(id)}}}\n{"@timestamp":${JSON.stringify(lineHead(text)?.time ?? new Date().toISOString())},${sent.slice(1)}\n`

/** Throws unless the answer speaks of exactly these lines. */
const failedIn = (answer: Answer, lines: readonly SinkLine[]): readonly Failed[] => {
  const items = dataIn(answer)?.['items']
  if (!Array.isArray(items) || items.length !== lines.length) throw new Error('the answer does not name each document')
  return items.flatMap((item: { readonly create?: { readonly _id?: unknown; readonly status?: unknown; readonly error?: { readonly type?: unknown; readonly reason?: unknown } } } | null, index): Failed[] => {
    const { _id, status, error } = item?.create ?? {}
    if (_id !== lines[index]?.id || typeof status !== 'number') throw new Error('the answer does not name each document')
    return status === 409 || (status >= 200 && status < 300) ? [] : [{ status, type: String(error?.type ?? ''), reason: String(error?.reason ?? '') }]
  })
}

const causeOf = ({ status, type, reason }: Failed): string => freeText(`${status} ${type}: ${reason}`)
