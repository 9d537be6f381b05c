import type { ASTNode } from '@marcbachmann/cel-js'
import { dottedSegments } from '../lib/dotted-name.ts'
import { meant } from './meant.ts'
import { objectNameProblem } from './object-names.ts'
import { knownVerbs } from './verbs.ts'

/* Literals that a fact is compared with and can never be: such a comparison is a typing mistake, and the rule does nothing or too much. */

const statements = knownVerbs.flatMap((verb) => (verb.startsWith('sql.') ? [verb.slice('sql.'.length)] : []))

const choices: Readonly<Record<string, readonly string[]>> = {
  'sql.transaction': ['none', 'clean', 'written'],
  'sql.statement': statements,
  'action.verb': knownVerbs,
  'action.protocol': ['http', 'mcp', 'postgres', 'mysql'],
  'action.effect': ['read', 'write'],
  'caller.kind': ['human', 'workload', 'agent'],
}

const oneOf = (fact: string, value: string, known: readonly string[]): string | undefined =>
  known.includes(value) ? undefined : `"${fact}" is never "${value}"${known.length > 4 ? meant(value, known) : `: it is one of ${known.join(', ')}`}`

const named = (fact: string, value: string, kind: 'table' | 'function'): string | undefined => {
  const problem = kind === 'function' && dottedSegments(value).length === 1 ? undefined : objectNameProblem(kind, value)
  return problem === undefined ? undefined : `"${fact}" has names with their schema: ${problem}`
}

const members: Readonly<Record<string, (fact: string, value: string) => string | undefined>> = {
  'sql.verbs': (fact, value) => (knownVerbs.includes(value) ? undefined : `"${fact}" never has "${value}"${statements.includes(value.toLowerCase()) ? `; did you mean "sql.${value.toLowerCase()}"?` : meant(value, knownVerbs)}`),
  'sql.tables': (fact, value) => named(fact, value, 'table'),
  'sql.tablesWritten': (fact, value) => named(fact, value, 'table'),
  'sql.functions': (fact, value) => named(fact, value, 'function'),
  'sql.columns': (fact, value) => (dottedSegments(value).length > 1 ? `"${fact}" has names of columns alone, such as "${dottedSegments(value).at(-1)}"` : undefined),
}

/** `sql.transaction` of `sql.transaction == "written"`. */
const factOf = (node: ASTNode | undefined): string | undefined => (node?.op === '.' && node.args[0].op === 'id' ? `${node.args[0].args}.${node.args[1]}` : undefined)

const literalsOf = (node: ASTNode | undefined): readonly string[] => {
  if (node?.op === 'value') return typeof node.args === 'string' ? [node.args] : []
  return node?.op === 'list' ? node.args.flatMap(literalsOf) : []
}

/** What is wrong with this one node. */
export const comparisonWarnings = (node: ASTNode): readonly string[] => {
  if (node.op !== '==' && node.op !== '!=' && node.op !== 'in') return []
  const [left, right] = node.args
  const found: (string | undefined)[] = []
  for (const [fact, other] of [[factOf(left), right], [factOf(right), left]] as const) {
    const known = fact === undefined || !Object.hasOwn(choices, fact) ? undefined : choices[fact]
    if (fact !== undefined && known !== undefined) for (const value of literalsOf(other)) found.push(oneOf(fact, value, known))
  }
  const list = node.op === 'in' ? factOf(right) : undefined
  const check = list === undefined || !Object.hasOwn(members, list) ? undefined : members[list]
  if (list !== undefined && check !== undefined) for (const value of literalsOf(left)) found.push(check(list, value))
  return found.filter((warning) => warning !== undefined)
}
