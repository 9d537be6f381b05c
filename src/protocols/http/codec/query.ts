import { Refusal } from '../../../model/refusal.ts'

/** Every value of every key, in order, decoded once. Null-prototype, so that no key is special. */
export type Fields = Readonly<Record<string, readonly string[]>>

/**
 * Why two readers could understand the same fields differently.
 * - `repeated`: a key stands more than once; first value, last value or a list
 * - `respelled`: one key in two spellings, some escaped (`role` and `%72ole`)
 * - `bracketed`: `a[]`, `a[0]`, `a[b]`: nested for some readers; its values count for `a` as well
 * - `semicolon`: `;` separates for some readers; the parts count as fields as well
 * - `bare`: a key without `=`, which is an empty value or no value
 * - `cased`: two keys that differ only in case
 */
export type Ambiguity = 'repeated' | 'respelled' | 'bracketed' | 'semicolon' | 'bare' | 'cased'

export interface FieldList {
  readonly values: Fields
  readonly ambiguities: readonly Ambiguity[]
}

const none: Fields = Object.freeze(Object.create(null) as Record<string, readonly string[]>)
const nothing: FieldList = Object.freeze({ values: none, ambiguities: Object.freeze([]) })

const maxFields = 1000

/**
 * Form encoding: `&` between fields, `+` for a blank, escapes decoded once.
 * Where another reader could find one more value for a key, `values` has it too: a rule that asks for all values sees the worst reading.
 */
export const parseFields = (text: string): FieldList => {
  if (text === '') return nothing
  const values = Object.create(null) as Record<string, string[]>
  /** First spelling of a key, where it differs from the key. */
  let spellings: Map<string, string> | undefined
  let found: Set<Ambiguity> | undefined
  let count = 0
  let foldable = false
  const find = (ambiguity: Ambiguity): void => void (found ??= new Set()).add(ambiguity)
  const put = (key: string, value: string): void => {
    const list = values[key]
    if (list === undefined) {
      values[key] = [value]
      foldable ||= uncommon.test(key)
    } else {
      find('repeated')
      list.push(value)
    }
  }
  const read = (part: string): void => {
    if (part === '') return
    if (++count > maxFields) throw new Refusal('too-large', 'The request has too many query or form fields.')
    const at = part.indexOf('=')
    const spelled = at < 0 ? part : part.slice(0, at)
    const key = decodeField(spelled)
    const value = at < 0 ? '' : decodeField(part.slice(at + 1))
    if (at < 0) find('bare')
    if (key in values && (spellings?.get(key) ?? key) !== spelled) find('respelled')
    else if (spelled !== key) (spellings ??= new Map()).set(key, spelled)
    put(key, value)
    const bracket = key.indexOf('[')
    if (bracket > 0) {
      find('bracketed')
      put(key.slice(0, bracket), value)
    }
  }
  for (const part of text.split('&')) {
    read(part)
    if (!part.includes(';')) continue
    find('semicolon')
    const [, ...rest] = part.split(';')
    for (const piece of rest) read(piece)
  }
  if (foldable) {
    const keys = Object.keys(values)
    if (new Set(keys.map((key) => key.toLowerCase())).size !== keys.length) find('cased')
  }
  for (const key in values) Object.freeze(values[key])
  return { values: Object.freeze(values), ambiguities: found === undefined ? clear : Object.freeze([...found]) }
}

const clear: readonly Ambiguity[] = Object.freeze([])

/** A key that another one could equal but for case. */
const uncommon = /[^a-z0-9_.[\]-]/

const decodeField = (text: string): string => {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text
  if (!spaced.includes('%')) return spaced
  try {
    return decodeURIComponent(spaced)
  } catch {
    throw new Refusal('malformed', 'A query or form field contains a broken percent escape.')
  }
}
