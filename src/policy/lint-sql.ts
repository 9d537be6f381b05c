import { dottedSegments } from '../lib/dotted-name.ts'
import { compileGlob } from './glob.ts'
import type { List, RuleSource } from './language.ts'
import { negated, valuesOf } from './matchers.ts'

type Warning = readonly [key: keyof RuleSource | undefined, message: string]

const NAMES = ['tables', 'columns', 'functions'] as const
const LOOKS = ['callers', ...NAMES, 'tags', 'if'] as const
/** Statements of these kinds alone name nothing in the database. */
const NAMELESS = ['sql.transaction', 'sql.set', 'sql.do']
const CHANGES = ['sql.insert', 'sql.update', 'sql.delete']

const listed = (list: List | undefined): readonly string[] | undefined => (list === undefined || negated(list) ? undefined : valuesOf(list))

const covers = (patterns: readonly string[], name: string): boolean => patterns.some((pattern) => compileGlob(pattern, '.').matches(dottedSegments(name)))

/** What loads and is probably not meant, of a rule that meets a database. */
export const lintSql = (source: RuleSource): readonly Warning[] => [...lintKinds(source), ...lintNames(source), ...lintMasks(source)]

const lintKinds = (source: RuleSource): readonly Warning[] => {
  const { then, actions } = source
  const found: Warning[] = []
  if (actions === undefined) {
    if (then === 'allow' && LOOKS.some((key) => source[key] !== undefined)) found.push([undefined, 'allows every kind of statement, schema changes and grants too: name the kinds under "actions"'])
    const narrow = [...NAMES, 'tags', 'if'] as const
    if (then === 'hold' && narrow.every((key) => source[key] === undefined)) found.push([undefined, 'holds every statement, BEGIN, COMMIT and SET too: name the kinds under "actions"'])
    return found
  }
  const kinds = listed(actions)
  if (kinds === undefined) return found
  if (then === 'allow' && covers(kinds, 'sql.merge') && !CHANGES.some((kind) => covers(kinds, kind))) found.push(['actions', 'a MERGE is also what its branches do, and an allow rule must name all of it: add sql.insert, sql.update or sql.delete'])
  if (then === 'hold' && kinds.includes('sql.transaction')) found.push(['actions', 'a COMMIT that waits keeps the locks of its transaction, and a ROLLBACK waits as well: hold the statements that change something'])
  const key = (['tables', 'columns'] as const).find((one) => listed(source[one]) !== undefined)
  if (key !== undefined && kinds.length > 0 && kinds.every((kind) => NAMELESS.includes(kind))) found.push([key, `statements of the kind ${kinds.join(', ')} name none of its "${key}", so the rule matches nothing`])
  return found
}

const lintNames = (source: RuleSource): readonly Warning[] =>
  NAMES.flatMap((key) => (source[key] === undefined ? [] : valuesOf(source[key])).filter((name) => /[A-Z]/.test(name.replaceAll(/"[^"]*"/g, ''))).map((name): Warning => [key, `"${name}" has capitals: a name that was created without quotes is lower case`]))

/** An allow rule matches statements all of whose tables are on its list: a mask for another table is for nothing. */
const lintMasks = (source: RuleSource): readonly Warning[] => {
  const tables = source.then === 'allow' ? listed(source.tables) : undefined
  if (tables === undefined) return []
  return Object.keys(source.mask ?? {}).flatMap((name): readonly Warning[] => {
    const segments = dottedSegments(name)
    return segments.length !== 3 || covers(tables, segments.slice(0, -1).join('.')) ? [] : [['mask', `"${name}" is a column of a table that the rule does not allow, so this mask is for nothing`]]
  })
}

/** Changes too: a RETURNING shows what stands in the row, and a SET can move it to where no mask holds. An INSERT alone has only what its client sends. */
const SHOWS = ['sql.select', 'sql.copy.out', 'sql.update', 'sql.delete', 'sql.merge']

/** Masks go with the rules that a statement meets: what only `source` allows is shown as it is, though `other` masks the same tables for the same callers. */
export const lintUnmasked = (source: RuleSource, other: RuleSource & { readonly name: string }): readonly Warning[] => {
  if (source.then !== 'allow' || other.then === 'deny' || JSON.stringify(source.callers) !== JSON.stringify(other.callers)) return []
  const [kinds, masked] = [listed(source.actions), listed(other.actions)]
  if (kinds === undefined || masked === undefined || !SHOWS.some((kind) => covers(kinds, kind))) return []
  const alone = kinds.filter((kind) => !covers(masked, kind))
  const missing = Object.entries(other.mask ?? {}).filter(([name, mask]) => mask !== 'none' && (source.mask?.[name] ?? 'none') === 'none' && meets(source, other, name)).map(([name]) => name)
  return alone.length === 0 || missing.length === 0 ? [] : [['mask', `allows ${alone.join(', ')} without the mask of ${missing.join(', ')} that rule "${other.name}" has for the same callers: give both the same masks`]]
}

const meets = (source: RuleSource, other: RuleSource, masked: string): boolean => {
  const tables = listed(source.tables)
  const segments = dottedSegments(masked)
  if (tables === undefined || segments.length === 3) return tables === undefined || covers(tables, segments.slice(0, -1).join('.'))
  const others = listed(other.tables)
  return others === undefined || tables.some((table) => covers(others, table)) || others.some((table) => covers(tables, table))
}
