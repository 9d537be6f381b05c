import type { Node } from '@pgsql/types'
import { withDepth } from './arguments.ts'
import { withoutPlaces } from './filter.ts'
import { relationOf } from './handlers/spelling.ts'
import type { Parser } from './parser.ts'
import type { StatementReading } from './reading.ts'

/** The text of a WHERE, if it is sure that this text alone means the same. */
const whereText = (text: string, where: Node, parser: Parser): string | undefined => {
  const all = withDepth(parser.tokens(text))
  const isWord = (word: string, index: number): boolean => {
    const here = all[index]
    // After a dot every word is a name.
    return here?.depth === 0 && here.token.keywordName === 'RESERVED_KEYWORD' && here.token.text.toLowerCase() === word && all[index - 1]?.token.text !== '.'
  }
  const start = all.findIndex((_, index) => isWord('where', index))
  const end = all.findIndex(({ token, depth }, index) => index > start && (isWord('returning', index) || (depth === 0 && token.text === ';')))
  const [first, last] = [all[start + 1], all[(end < 0 ? all.length : end) - 1]]
  if (start < 0 || first === undefined || last === undefined) return undefined
  const words = Buffer.from(text).subarray(first.token.start, last.token.end).toString()
  const [again] = parser.statements(`SELECT FROM t WHERE (${words}\n)`)
  const meant = again?.stmt !== undefined && 'SelectStmt' in again.stmt ? again.stmt.SelectStmt.whereClause : undefined
  return withoutPlaces(meant) === withoutPlaces(where) ? words : undefined
}

/** What one plain UPDATE or DELETE changes. */
export const changesOf = (statement: Node, text: string, parser: Parser): StatementReading['changes'] => {
  const change = 'UpdateStmt' in statement ? statement.UpdateStmt : 'DeleteStmt' in statement ? statement.DeleteStmt : undefined
  if (change?.relation === undefined || change.withClause !== undefined || 'fromClause' in change || 'usingClause' in change) return undefined
  const { relation, whereClause } = change
  if (whereClause !== undefined && 'CurrentOfExpr' in whereClause) return undefined
  const where = whereClause === undefined ? undefined : whereText(text, whereClause, parser)
  if (whereClause !== undefined && where === undefined) return undefined
  return {
    relation: relationOf(relation, 'write'),
    ...(relation.inh === true ? {} : { only: true as const }),
    ...(relation.alias?.aliasname === undefined ? {} : { alias: relation.alias.aliasname }),
    ...(where === undefined ? {} : { where }),
  }
}
