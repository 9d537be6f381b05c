import { Refusal } from '../../../model/refusal.ts'
import { parseContentType, refuseEncodedContent, refuseOtherCharsets } from './content.ts'
import { parseForm } from './form.ts'
import { defaultJsonRules, parseJson, type JsonValue } from './json.ts'
import type { FieldList } from './query.ts'

/**
 * A body that was read whole, by the one media type that its request names.
 * `opaque` is everything that we do not take apart: rules about its inside do not apply, and rules that deny or hold by it do.
 */
export type Body =
  | { readonly kind: 'empty' }
  | { readonly kind: 'json'; readonly value: JsonValue }
  | { readonly kind: 'form'; readonly fields: FieldList }
  | { readonly kind: 'opaque'; readonly essence: string | undefined }

export interface BodyRules {
  readonly caseVariants: 'refuse' | 'allow'
}

const isJson = (essence: string): boolean => essence === 'application/json' || essence === 'text/json' || essence.endsWith('+json')

export const formType = 'application/x-www-form-urlencoded'

export const readBody = (bytes: Uint8Array, contentType: string | undefined, contentEncoding: string | undefined, { caseVariants }: BodyRules): Body => {
  refuseEncodedContent(contentEncoding)
  const type = contentType === undefined ? undefined : parseContentType(contentType)
  if (type) refuseOtherCharsets(type)
  if (bytes.length === 0) return { kind: 'empty' }
  if (type === undefined) return { kind: 'opaque', essence: undefined }
  if (isJson(type.essence)) return { kind: 'json', value: parseJson(bytes, { ...defaultJsonRules, caseVariants }) }
  if (type.essence === formType) return { kind: 'form', fields: parseForm(bytes) }
  return { kind: 'opaque', essence: type.essence }
}

/** The body of a JSON-RPC route, which is JSON and says so. */
export const requireJson = (body: Body): JsonValue => {
  if (body.kind === 'json') return body.value
  if (body.kind === 'empty') throw new Refusal('malformed', 'The request has no body.')
  throw new Refusal('unsupported-media', 'This route takes JSON bodies only.')
}
