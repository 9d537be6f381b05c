import type { Alias, ColumnRef } from './reading.ts'

/* The parser's tree by the names of its fields, for whoever looks at parts of it only. */

export type Json = unknown
export type Fields = Readonly<Record<string, Json>>

export const opened = (node: Json): readonly [string, Fields] => {
  const [first] = Object.entries(record(node))
  return first === undefined ? ['', {}] : [first[0], record(first[1])]
}

export const record = (value: Json): Fields => (typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {})

export const list = (value: Json): readonly Json[] => (Array.isArray(value) ? (value as readonly Json[]) : value === undefined || value === null ? [] : [value])

export const nameOf = (node: Json): string => {
  const [kind, fields] = opened(node)
  return kind === 'String' ? String(fields['sval'] ?? '') : '*'
}

/** Of a name that stands alone. */
export const soleName = (node: Json): string | undefined => {
  const [kind, { fields }] = opened(node)
  const [first, ...more] = list(fields)
  return kind === 'ColumnRef' && more.length === 0 && opened(first)[0] === 'String' ? nameOf(first) : undefined
}

export const relationOf = ({ schemaname, relname }: Fields): NonNullable<Alias['relation']> => (typeof schemaname === 'string' ? { schema: schemaname, name: String(relname) } : { name: String(relname) })

/** Names of nodes are capital, those of fields are not. */
export const isNode = (name: string, part: Json): boolean => /^[A-Z]/.test(name) && typeof part === 'object'

export const isChange = (name: string): boolean => /^(?:Insert|Update|Delete|Merge)Stmt$/.test(name)

export const columnOf = (fields: Fields): ColumnRef => {
  const names = list(fields['fields']).map(nameOf)
  const name = names.at(-1) ?? '*'
  const qualifier = names.at(-2)
  return qualifier === undefined ? { name } : { qualifier, name }
}

export const some = (node: Json, test: (name: string, part: Json) => boolean): boolean =>
  Array.isArray(node) ? node.some((one) => some(one, test)) : Object.entries(record(node)).some(([name, part]) => test(name, part) || some(part, test))
