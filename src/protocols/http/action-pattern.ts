import { canonicalJson } from '../../lib/canonical-json.ts'
import { readsAsTruth } from '../../lib/truth.ts'
import { visible } from '../../lib/visible.ts'
import type { ActionPattern } from '../../model/action.ts'
import type { Body } from './codec/body.ts'
import type { JsonValue } from './codec/json.ts'
import type { FieldList } from './codec/query.ts'

export interface PatternSource {
  readonly service: string
  readonly upstream: { readonly id: string; readonly allowed: readonly string[] }
  readonly method: string
  readonly verb: string
  readonly host: string
  /** Bound ones: they stay, with their values. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** The whole of the target where it spells its path in another way than it is judged: then it stays as it is. */
  readonly raw: string | undefined
  /** As it stands, behind the question mark. */
  readonly query: { readonly text: string; readonly fields: FieldList }
  /** `whole`: its inside says what is done, so all of it stays. */
  readonly body: { readonly content: Body; readonly sha256: string; readonly bytes: number; readonly whole: boolean } | undefined
}

/**
 * What requests of one kind have in common: everything but the texts and numbers that stand in the fields of a query, a form or a JSON body.
 * The fields themselves stay, how many items a list has, what is null or empty, what is true or false or a text that reads so, and every header that is bound.
 */
export const httpPattern = (source: PatternSource): ActionPattern => {
  const { service, upstream, method, verb, host, headers, raw, query, body } = source
  const asked = query.fields.ambiguities.length > 0 ? query.text : fieldsShape(query.fields)
  const sent = body === undefined ? null : bodyShape(body)
  const same = canonicalJson(['http v1', service, [upstream.id, ...upstream.allowed.toSorted()], method, verb, host, headers.map(([name, value]) => [name, value]), raw ?? null, asked, sent])
  return { same, text: (path) => visible(`${method} ${path}${queryText(query)}${body === undefined ? '' : bodyText(body)}`) }
}

type Shape = string | readonly Shape[]

const free = { text: '<text>', number: '<number>' } as const

/** Of the same kind with any other text. In a query and a form everything is a text: there is no other way to say yes or no. */
const isFree = (text: string): boolean => text !== '' && !readsAsTruth(text)
const textShape = (text: string): Shape => (isFree(text) ? 'text' : ['is', text])

const fieldsShape = ({ values }: FieldList): Shape => Object.keys(values).toSorted().map((name) => [name, ...(values[name] ?? []).map(textShape)])

const bodyShape = ({ content, sha256, whole }: NonNullable<PatternSource['body']>): Shape => {
  if (content.kind === 'empty') return 'empty'
  if (!whole && content.kind === 'json') return ['json', jsonShape(content.value)]
  if (!whole && content.kind === 'form' && content.fields.ambiguities.length === 0) return ['form', fieldsShape(content.fields)]
  return ['bytes', sha256]
}

/** Names are data, and the words of the shape stand where no name can. */
const jsonShape = (value: JsonValue): Shape => {
  if (value === null) return 'null'
  if (typeof value === 'string') return textShape(value)
  if (typeof value === 'boolean') return String(value)
  if (typeof value !== 'object') return 'number'
  if (Array.isArray(value)) return ['list', ...value.map(jsonShape)]
  return ['object', ...Object.keys(value).toSorted().map((name) => [name, jsonShape(value[name] as JsonValue)])]
}

const queryText = ({ text, fields }: PatternSource['query']): string => {
  if (text === '') return ''
  return `?${fields.ambiguities.length > 0 ? text : fieldsText(fields)}`
}

const fieldsText = ({ values }: FieldList): string => Object.keys(values).flatMap((name) => (values[name] ?? []).map((value) => `${encodeURIComponent(name)}=${isFree(value) ? free.text : encodeURIComponent(value)}`)).join('&')

const bodyText = ({ content, sha256, bytes, whole }: NonNullable<PatternSource['body']>): string => {
  if (content.kind === 'empty') return ''
  if (!whole && content.kind === 'json') return `\n${jsonText(content.value, '')}`
  if (!whole && content.kind === 'form' && content.fields.ambiguities.length === 0) return `\n${fieldsText(content.fields)}`
  return `\nexactly this body of ${bytes} bytes, sha256:${sha256}`
}

const jsonText = (value: JsonValue, indent: string): string => {
  if (typeof value === 'string') return isFree(value) ? free.text : JSON.stringify(value)
  if (value === null || typeof value === 'boolean') return String(value)
  if (typeof value !== 'object') return free.number
  const items = Array.isArray(value) ? value.map((item) => jsonText(item, `${indent}  `)) : Object.keys(value).map((name) => `${JSON.stringify(name)}: ${jsonText(value[name] as JsonValue, `${indent}  `)}`)
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}']
  return items.length === 0 ? `${open}${close}` : `${open}\n${items.map((item) => `${indent}  ${item}`).join(',\n')}\n${indent}${close}`
}
