import type { CopyStmt, InsertStmt, MergeStmt } from '@pgsql/types'
import { restricts } from '../filter.ts'
import { opened, Unclassified, type Handlers, type Place, type Rest, type Walk } from '../walk.ts'
import { within } from './query.ts'
import { plainColumns, relationOf, target } from './spelling.ts'
import type { SqlKind } from '../reading.ts'

const answer = (walk: Walk, place: Place, returning: unknown): void => {
  if (place.top) walk.found.answers = returning === undefined ? 'count' : 'rows'
}

const insert = (statement: InsertStmt, walk: Walk, place: Place): Rest<keyof InsertStmt> => {
  walk.kind('insert', place)
  if (statement.onConflictClause?.action === 'ONCONFLICT_UPDATE') walk.kind('update', place)
  answer(walk, place, statement.returningClause)
  target(statement.relation, walk, place, statement.returningClause !== undefined, (statement.cols ?? []).length === 0)
  plainColumns(statement.cols, walk)
  plainColumns(statement.onConflictClause?.targetList, walk)
  return { done: ['relation', 'withClause'], at: within(statement.withClause, walk, place) }
}

const mergeKinds: Readonly<Record<string, SqlKind | undefined>> = { CMD_INSERT: 'insert', CMD_UPDATE: 'update', CMD_DELETE: 'delete', CMD_NOTHING: 'merge' }

/** Each action counts as what it does. No condition of a MERGE counts as a filter. */
const merge = (statement: MergeStmt, walk: Walk, place: Place): Rest<keyof MergeStmt> => {
  walk.kind('merge', place)
  answer(walk, place, statement.returningClause)
  const listed = (statement.mergeWhenClauses ?? []).every((clause) => !('MergeWhenClause' in clause) || clause.MergeWhenClause.commandType !== 'CMD_INSERT' || (clause.MergeWhenClause.targetList ?? []).length > 0)
  target(statement.relation, walk, place, true, !listed)
  if (statement.sourceRelation !== undefined && 'RangeVar' in statement.sourceRelation) walk.kind('select', place)
  for (const clause of statement.mergeWhenClauses ?? []) {
    const [name, fields] = opened(clause)
    const kind = name === 'MergeWhenClause' ? mergeKinds[String(fields['commandType'])] : undefined
    if (kind === undefined) throw new Unclassified('an action of a MERGE is not known')
    walk.kind(kind, place)
    if ((kind === 'update' || kind === 'delete') && !place.quiet) walk.found.change(false)
  }
  return { done: ['relation', 'withClause'], at: within(statement.withClause, walk, place) }
}

const copy = (statement: CopyStmt, walk: Walk, place: Place): Rest<keyof CopyStmt> => {
  const [incoming, beyond] = [statement.is_from === true, statement.is_program === true || statement.filename !== undefined]
  if (beyond) walk.kind('copy.program', place)
  walk.kind(incoming ? 'copy.in' : 'copy.out', place)
  if (place.top) walk.found.answers = beyond ? 'count' : incoming ? 'copy-in' : 'copy-out'
  if (statement.relation !== undefined) walk.found.relation(relationOf(statement.relation, incoming ? 'write' : 'read'))
  if ((statement.attlist ?? []).length > 0) plainColumns(statement.attlist, walk)
  else if (statement.relation !== undefined) walk.found.column({ name: '*' })
  const at: Place = { ...place, relations: 'read', top: false }
  // What a query only reads goes out by COPY: that is the word for it.
  walk.node(statement.query, at)
  if (statement.query !== undefined && 'SelectStmt' in statement.query) walk.found.kinds.delete('select')
  return { done: ['relation', 'query'], at }
}

export const changeHandlers: Handlers = {
  InsertStmt: insert,
  MergeStmt: merge,
  CopyStmt: copy,

  UpdateStmt: (statement, walk, place) => {
    walk.kind('update', place)
    if ((statement.fromClause ?? []).length > 0) walk.kind('select', place)
    if (!place.quiet) walk.found.change(restricts(statement.whereClause, statement.relation))
    answer(walk, place, statement.returningClause)
    target(statement.relation, walk, place, statement.returningClause !== undefined)
    plainColumns(statement.targetList, walk)
    return { done: ['relation', 'withClause'], at: within(statement.withClause, walk, place) }
  },

  DeleteStmt: (statement, walk, place) => {
    walk.kind('delete', place)
    if ((statement.usingClause ?? []).length > 0) walk.kind('select', place)
    if (!place.quiet) walk.found.change(restricts(statement.whereClause, statement.relation))
    answer(walk, place, statement.returningClause)
    target(statement.relation, walk, place, statement.returningClause !== undefined)
    return { done: ['relation', 'withClause'], at: within(statement.withClause, walk, place) }
  },

  TruncateStmt: (statement, walk, place) => {
    walk.kind('truncate', place)
    if (!place.quiet) walk.found.change(false)
    if (place.top) walk.found.answers = 'nothing'
    for (const relation of statement.relations ?? []) {
      if (!('RangeVar' in relation)) throw new Unclassified('a TRUNCATE of something else than relations')
      walk.found.relation(relationOf(relation.RangeVar, 'write'))
    }
    return { done: ['relations'] }
  },
}
