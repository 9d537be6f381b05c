import { visible } from '../../lib/visible.ts'
import type { TextSource } from './action-text.ts'
import type { Body } from './codec/body.ts'
import type { JsonValue } from './codec/json.ts'
import { parseFields, type Fields } from './codec/query.ts'
import { previewLength } from './action-text.ts'

const hidden = '•••'

/** What may stand in an outline of a path: a word, or the version of an API. A digit, a dot or a sign may be of somebody's number, name or code. */
const isWord = (segment: string): boolean => segment === '' || /^(?:[A-Za-z][A-Za-z_-]{0,39}|v\d{1,3})$/.test(segment)

/** Headers that say how something is written, and nothing of what it is. */
const formal: ReadonlySet<string> = new Set(['content-type', 'content-encoding', 'accept'])

/**
 * What a person reads of a request who may know what is done and not with which data. Parts of the path that are more than a word, every value of
 * the query, of a form and of a header, and every text and number of a JSON body are left out. Any other body is left out whole.
 */
export const actionOutline = ({ method, actsAs, target, host, headers, body }: TextSource): string => {
  const mark = target.indexOf('?')
  const path = mark < 0 ? target : target.slice(0, mark)
  const query = mark < 0 ? '' : `?${fieldLines(parseFields(target.slice(mark + 1)).values).join('&')}`
  const lines = [`${method} ${visible(path.split('/').map((segment) => (isWord(segment) ? segment : hidden)).join('/'))}${query}${actsAs === method ? '' : `   (acts as ${actsAs})`}`, `host: ${host}`]
  for (const [name, value] of headers) lines.push(`${name}: ${formal.has(name) ? visible(value) : hidden}`)
  return body === undefined ? lines.join('\n') : `${lines.join('\n')}\n\n${body === 'streamed' ? hidden : bodyOutline(body.content).slice(0, previewLength).toWellFormed()}`
}

const fieldLines = (values: Fields): readonly string[] => Object.keys(values).flatMap((name) => (values[name] ?? []).map(() => `${visible(encodeURIComponent(name.toWellFormed()))}=${hidden}`))

const bodyOutline = (content: Body): string => {
  if (content.kind === 'empty') return ''
  if (content.kind === 'json') return visible(jsonOutline(content.value, ''))
  return content.kind === 'form' ? fieldLines(content.fields.values).join('\n') : hidden
}

/** Nesting is bounded by the parser that made the value. */
const jsonOutline = (value: JsonValue, indent: string): string => {
  if (typeof value === 'string') return `"${hidden}"`
  if (value === null || typeof value === 'boolean') return String(value)
  if (typeof value !== 'object') return hidden
  const deeper = `${indent}  `
  const items = Array.isArray(value) ? value.map((item) => jsonOutline(item, deeper)) : Object.keys(value).map((name) => `${JSON.stringify(name)}: ${jsonOutline(value[name] as JsonValue, deeper)}`)
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}']
  return items.length === 0 ? `${open}${close}` : `${open}\n${items.map((item) => `${deeper}${item}`).join(',\n')}\n${indent}${close}`
}
