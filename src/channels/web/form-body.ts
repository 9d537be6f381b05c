import type { IncomingMessage } from 'node:http'
import { Refusal } from '../../model/refusal.ts'
import { headerValues } from './boundary.ts'
import { readBytes } from './request-body.ts'

/** The fields of a form, whole, in UTF-8, each name once; or a refusal. */
export const readForm = async (request: IncomingMessage): Promise<ReadonlyMap<string, string>> => {
  const types = headerValues(request, 'content-type')
  if (types.length !== 1 || !/^application\/x-www-form-urlencoded[ \t]*(?:;[ \t]*charset=utf-8[ \t]*)?$/i.test(types[0] ?? '')) throw new Refusal('unsupported-media', 'A form is expected here.')
  if (headerValues(request, 'content-encoding').length > 0) throw new Refusal('unsupported-media', 'The body must not be compressed.')
  const fields = new Map<string, string>()
  for (const [name, value] of new URLSearchParams((await readBytes(request)).toString())) {
    if (fields.has(name)) throw new Refusal('malformed', 'A field of the form stands twice.')
    fields.set(name, value.replaceAll('\r\n', '\n'))
  }
  return fields
}
