import { columnOf, list, opened, record, some, type Fields, type Json } from './tree.ts'

/* What a query gives: its outputs, and the names that they go by. */

/** DISTINCT, UNION, INTERSECT and EXCEPT: equal rows become one. Only UNION ALL compares nothing. */
export const comparesRows = ({ distinctClause, larg, op, all }: Fields): boolean => list(distinctClause).some((item) => Object.keys(record(item)).length === 0) || (larg !== undefined && !(op === 'SETOP_UNION' && all === true))

/** The values of all outputs, of each query that a UNION puts together. */
export const outputsOf = (fields: Fields): readonly Json[] =>
  fields['larg'] === undefined ? [...list(fields['targetList']).map((target) => opened(target)[1]['val']), ...list(fields['valuesLists'])] : [...outputsOf(record(fields['larg'])), ...outputsOf(record(fields['rarg']))]

export const positionsIn = (node: Json): boolean => some(node, (name) => name === 'A_Const')

export const namesIn = (node: Json): ReadonlySet<string> => {
  const names = new Set<string>()
  some(node, (name, part) => {
    if (name === 'ColumnRef') names.add(columnOf(record(part)).name)
    return false
  })
  return names
}

/** An output that is no plain column has a name of its own, given or not: `name(ssn)` is called `name`. */
export const hasOwnName = (target: Json): boolean => {
  const { name, val } = opened(target)[1]
  return name !== undefined || opened(val)[0] !== 'ColumnRef'
}

export const labelled = (outputs: Json): boolean => some(outputs, (name, part) => name === 'ResTarget' && hasOwnName({ [name]: part }))

/** Names that the server gives to outputs which have none, beside names that stand in them. */
const WORDS: ReadonlySet<string> = new Set('array case coalesce exists greatest grouping least nullif row current_date current_time current_timestamp localtime localtimestamp current_role current_user session_user system_user current_catalog current_schema'.split(' '))

/** Whether one of these names can be that of the output. */
export const goesBy = (target: Json, names: ReadonlySet<string>): boolean => {
  const { name, val } = opened(target)[1]
  if (name !== undefined) return names.has(String(name))
  return [...names].some((one) => WORDS.has(one) || /^(?:xml|json|merge)/.test(one)) || some(val, (field, part) => field === 'sval' && names.has(String(part)))
}
