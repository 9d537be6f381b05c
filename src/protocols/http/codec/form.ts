import { Refusal } from '../../../model/refusal.ts'
import { parseFields, type FieldList } from './query.ts'
import { decodeUtf8 } from './json.ts'

/** An `application/x-www-form-urlencoded` body: ASCII, read as a query is. */
export const parseForm = (bytes: Uint8Array): FieldList => {
  const text = decodeUtf8(bytes)
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code < 0x20 || code > 0x7e) throw new Refusal('malformed', 'The form body contains a character that should be escaped.')
  }
  return parseFields(text)
}
