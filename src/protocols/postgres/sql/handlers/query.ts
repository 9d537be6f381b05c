import type { IntoClause, RangeVar, SelectStmt, WithClause } from '@pgsql/types'
import { opened, Unclassified, type Handlers, type Place, type Scope, type Walk } from '../walk.ts'
import { relationOf } from './spelling.ts'

const isVisible = (name: string, scope: Scope | undefined): boolean => scope !== undefined && (scope.names.has(name) || isVisible(name, scope.outer))

/**
 * Walks the queries of a WITH, and gives the place of the statement that it belongs to. Each query sees the ones before it;
 * in a recursive one all see all.
 */
export const within = (clause: WithClause | undefined, walk: Walk, place: Place): Place => {
  const inner: Place = { ...place, relations: 'read', top: false }
  if (clause === undefined) return inner
  const queries = (clause.ctes ?? []).map((cte) => {
    const [kind, query] = opened(cte)
    const name = query['ctename']
    if (kind !== 'CommonTableExpr' || typeof name !== 'string') throw new Unclassified('a WITH of something else than queries')
    return { name, query }
  })
  const before = new Set(clause.recursive === true ? queries.map(({ name }) => name) : [])
  for (const { name, query } of queries) {
    walk.inlined('CommonTableExpr', query, { ...inner, scope: { names: new Set(before), outer: place.scope } })
    before.add(name)
  }
  return { ...inner, scope: { names: before, outer: place.scope } }
}

/** The relation of SELECT INTO and CREATE TABLE AS. */
export const created = (relation: RangeVar | undefined, walk: Walk, place: Place): void => {
  if (relation === undefined) throw new Unclassified('a new relation without a name')
  const made = { ...relationOf(relation, 'write', true), created: true as const }
  const temporary = relation.relpersistence === 't' || relation.schemaname === 'pg_temp'
  // Whatever else has this name, it is not that.
  walk.found.relation(temporary ? { ...made, schema: 'pg_temp' } : made)
  if (!place.quiet && temporary) walk.found.control ??= { does: 'create-temporary', name: relation.relname ?? '' }
}

const into = (clause: IntoClause, walk: Walk, place: Place): void => {
  walk.kind('ddl', place)
  created(clause.rel, walk, place)
}

const select = (query: SelectStmt, walk: Walk, place: Place): { readonly done: readonly (keyof SelectStmt)[]; readonly at: Place } => {
  // The selects of a VALUES or of a query without FROM read nothing.
  if (place.top || (query.fromClause ?? []).length > 0) walk.kind('select', place)
  if (place.top) walk.found.answers = query.intoClause === undefined ? 'rows' : 'count'
  if ((query.lockingClause ?? []).length > 0) walk.kind('lock', place)
  if (query.intoClause !== undefined) into(query.intoClause, walk, place)
  const at = within(query.withClause, walk, place)
  for (const arm of [query.larg, query.rarg]) walk.inlined('SelectStmt', arm, at)
  return { done: ['withClause', 'larg', 'rarg'], at }
}

export const queryHandlers: Handlers = {
  SelectStmt: select,

  IntoClause: () => ({ done: ['rel'] }),

  RangeVar: (range, walk, place) => {
    const isQuery = range.schemaname === undefined && isVisible(range.relname ?? '', place.scope)
    if (place.relations === 'defined') walk.found.relation(relationOf(range, 'write', true))
    else if (!isQuery) walk.found.relation(relationOf(range, 'read'))
    return undefined
  },

  // FOR UPDATE OF names tables of the FROM by their aliases.
  LockingClause: () => ({ done: ['lockedRels'] }),
}
