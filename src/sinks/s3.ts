import { hash } from 'node:crypto'
import { encodedPath, signed } from './aws-signature.ts'
import type { OptionsOf } from './options.ts'
import { type Answer, isGood, makePost, refusalOf } from './post.ts'
import type { Sink, SinkLine } from './sink.ts'

/** It never refuses a record: an object of them is taken or not. */
const never: ReadonlySet<number> = new Set()
const isThere = 412

/**
 * S3, and what speaks like it. Lines gather until they fill an object or its time has come; an object is created, never written over.
 * Its name says which records are in it and has their hash, so one that is there already (412) is this very one.
 *
 *   {prefix}/{replica}/{epoch}/{first seq}-{last seq}-{hash}.ndjson
 */
export const makeS3Sink = (options: OptionsOf<'s3'>): Sink => {
  const post = makePost(options)

  const put = async (log: string, lines: readonly SinkLine[], signal: AbortSignal): Promise<void> => {
    const body = Buffer.from(lines.map(({ sent }) => `${sent}\n`).join(''))
    const url = new URL(`${options.url.replace(/\/+$/, '')}/${log}/${seqOf(lines.at(0))}-${seqOf(lines.at(-1))}-${hash('sha256', body).slice(0, 16)}.ndjson`)
    const now = new Date()
    const headers = { 'content-type': 'application/x-ndjson', 'if-none-match': '*', 'x-amz-checksum-sha256': hash('sha256', body, 'base64'), ...lockedUntil(options, now) }
    const answer = await post.send({ method: 'PUT', url: `${url.origin}${encodedPath(url)}`, headers: signed({ method: 'PUT', url, headers, body }, options.key, options.region, now), body }, signal)
    if (!isGood(answer) && answer.status !== isThere) throw refusalOf(answer, never, codeOf(answer))
  }

  return {
    limits: { lines: options.batchLines, bytes: options.batchBytes },
    gatherMs: options.everyMs,
    timeoutMs: options.timeoutMs,
    deliver: async (lines, signal) => {
      // Records of one start of one replica stand together, in order.
      let log: SinkLine[] = []
      for (const line of lines) {
        if (log[0] !== undefined && logOf(log[0]) !== logOf(line)) {
          await put(logOf(log[0]), log, signal)
          log = []
        }
        log.push(line)
      }
      if (log[0] !== undefined) await put(logOf(log[0]), log, signal)
    },
    [Symbol.asyncDispose]: () => post[Symbol.asyncDispose](),
  }
}

const logOf = ({ id, seq }: SinkLine): string => (seq < 0 ? 'damaged' : id.slice(0, id.lastIndexOf('/')))
const seqOf = (line: SinkLine | undefined): string => String(Math.max(line?.seq ?? 0, 0)).padStart(12, '0')

const lockedUntil = ({ lock }: OptionsOf<'s3'>, now: Date): Readonly<Record<string, string>> =>
  lock === undefined ? {} : { 'x-amz-object-lock-mode': lock.mode, 'x-amz-object-lock-retain-until-date': new Date(now.getTime() + lock.forMs).toISOString() }

const codeOf = ({ text }: Answer): string => /<Code>([A-Za-z]{1,60})<\/Code>/.exec(text)?.[1] ?? ''
