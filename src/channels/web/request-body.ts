import type { IncomingMessage } from 'node:http'
import { JsonProblem, parseStrictJson } from '../../lib/strict-json.ts'
import { Refusal } from '../../model/refusal.ts'
import { headerValues } from './boundary.ts'

const maxBytes = 64 * 1024
const deadlineMs = 10_000

/** The JSON body, whole and unambiguous, or a refusal. A form or plain text is none: those are what a page of another site can send. */
export const readJson = async (request: IncomingMessage): Promise<unknown> => {
  const types = headerValues(request, 'content-type')
  if (types.length !== 1 || !/^application\/json[ \t]*(?:;[ \t]*charset=utf-8[ \t]*)?$/i.test(types[0] ?? '')) throw new Refusal('unsupported-media', 'The body must be sent as application/json.')
  if (headerValues(request, 'content-encoding').length > 0) throw new Refusal('unsupported-media', 'The body must not be compressed.')
  const bytes = await readBytes(request)
  try {
    return parseStrictJson(bytes, 16)
  } catch (error) {
    if (error instanceof JsonProblem) throw new Refusal('malformed', `The body cannot be taken as JSON: ${error.message}.`)
    throw error
  }
}

/** The body, no longer and no slower than a decision needs. */
export const readBytes = async (request: IncomingMessage, most = maxBytes): Promise<Buffer> => {
  if (Number(request.headers['content-length'] ?? 0) > most) throw tooLarge(most)
  const chunks: Buffer[] = []
  let size = 0
  const late = setTimeout(() => request.destroy(new Error('body too slow')), deadlineMs)
  try {
    for await (const chunk of request) {
      size += (chunk as Buffer).length
      if (size > most) throw tooLarge(most)
      chunks.push(chunk as Buffer)
    }
  } catch (error) {
    if (error instanceof Refusal) throw error
    throw new Refusal('malformed', 'The body did not arrive.', { cause: error })
  } finally {
    clearTimeout(late)
  }
  return Buffer.concat(chunks)
}

const tooLarge = (most: number): Refusal => new Refusal('too-large', `The body must not be longer than ${most} bytes.`)
