import { Refusal } from '../../model/refusal.ts'
import { type Body, formType } from './codec/body.ts'
import type { Fields } from './codec/query.ts'

/** How form parsers of other languages may respell a field: `.method` and `_method` are one name to some of them, blanks in front and whatever follows a zero byte are nothing. */
const foldField = (name: string): string => {
  const text = (name.split('\0', 1)[0] ?? '').trimStart().toLowerCase().replace(/[. [\]]/g, '_')
  let end = text.length
  while (end > 0 && text.charCodeAt(end - 1) === 0x5f) end-- // `/_+$/` would begin anew at each underscore of a long name
  return text.slice(0, end)
}

/**
 * The method that an upstream will act on where a field of the request can change it. The field counts in query, form and JSON alike.
 * A body in which such a field could hide from us is refused.
 */
export const effectiveMethod = (method: string, field: string, query: { readonly values: Fields }, content: Body | undefined): string => {
  if (content?.kind === 'opaque') throw new Refusal('unsupported-media', `This route takes ${formType} and JSON bodies only.`)
  const wanted = foldField(field)
  const found = new Set<string>()
  const collect = (fields: Fields): void => {
    for (const name in fields) if (foldField(name) === wanted) for (const value of fields[name] ?? []) found.add(value.trim().toUpperCase())
  }
  collect(query.values)
  if (content?.kind === 'form') collect(content.fields.values)
  if (content?.kind === 'json' && typeof content.value === 'object' && content.value !== null && !Array.isArray(content.value))
    for (const name in content.value) if (foldField(name) === wanted) found.add(String(content.value[name]).trim().toUpperCase())
  found.delete('')
  const [override] = found
  if (override === undefined) return method
  if (found.size > 1 || !/^[A-Z]{2,20}$/.test(override)) throw new Refusal('malformed', 'The request names more than one method to act as.')
  // Servers apply it to POST; one that applied it to another method would surprise us in the wrong direction.
  if (method !== 'POST' && override !== method) throw new Refusal('malformed', 'Only a POST may ask to act as another method.')
  return override
}
