import type { A_Const, Node, TypeName } from '@pgsql/types'
import { readsAsTruth } from '../../../lib/truth.ts'
import { visibleRaw } from '../../../lib/visible.ts'
import { changesOf } from './changes.ts'
import { operatorOf, withoutPlaces } from './filter.ts'
import { ParserFailure, SyntaxProblem, type Parser, type Token } from './parser.ts'

/**
 * What statements of one kind have in common. Open are only the values that a column is set to, and those that a column is compared with by `=`, IN or
 * `= ANY`, written as a constant or bound as a parameter. Every other constant stays as it is: patterns, ranges, what a function is called with, LIMIT,
 * all in a sub-select; and of the open ones those that are no mere values: NULL, what reads as true or false, and an empty text.
 */
export interface SqlPattern {
  /** The parser's tree, with what is open marked. */
  readonly same: string
  /** The statement, with what is open left open. */
  readonly text: string
  /** Parameters that stand where a value is open, and nowhere else, by their numbers. All others stay. */
  readonly open: readonly number[]
}

type Kind = 'text' | 'number'

const kindOf = ({ ival, fval, sval }: A_Const): Kind | undefined => {
  if (ival !== undefined || fval !== undefined) return 'number'
  const text = sval?.sval ?? ''
  return text === '' || readsAsTruth(text) ? undefined : 'text'
}

/** As these a number is that number, or its digits; as any other it may be true or false. */
const plainTypes: ReadonlySet<string> = new Set(['int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'text', 'varchar', 'bpchar'])

/** Whether a constant of another value is a mere value as this type, too. */
const keepsValue = (kind: Kind | undefined, { names = [], arrayBounds }: TypeName): boolean => {
  const last = names.at(-1)
  const name = last !== undefined && 'String' in last ? (last.String.sval ?? '') : ''
  return kind === 'number' ? plainTypes.has(name) && arrayBounds === undefined : name !== 'bool'
}

interface Opening {
  /** Of a constant, in bytes. */
  readonly at: number
  readonly last: number
  readonly shown: string
}

/** Marks that no tree of the parser has. */
const mark = (kind: string): Node => ({ Open: kind }) as unknown as Node

class Opener {
  readonly openings: Opening[] = []
  readonly #open = new Set<number>()

  /** A value that may be another one. */
  value(node: Node | undefined): Node | undefined {
    if (node === undefined) return node
    if ('A_Const' in node) return this.#constant(node.A_Const) ?? node
    if ('ParamRef' in node) {
      this.#open.add(node.ParamRef.number ?? 0)
      return { ParamRef: node.ParamRef, Open: 'parameter' } as unknown as Node
    }
    if (!('TypeCast' in node) || node.TypeCast.arg === undefined || !('A_Const' in node.TypeCast.arg)) return node
    const { A_Const: constant } = node.TypeCast.arg
    const inner = keepsValue(kindOf(constant), node.TypeCast.typeName ?? {}) ? this.#constant(constant) : undefined
    return inner === undefined ? node : { TypeCast: { ...node.TypeCast, arg: inner } }
  }

  /** The tree, and the parameters that stand nowhere in it but where a value is open. */
  opened(node: Node): Pick<SqlPattern, 'same' | 'open'> {
    const fixed = new Set<number>()
    const same = withoutPlaces(this.statement(node), (inner) => {
      if (typeof inner === 'object' && inner !== null && 'ParamRef' in inner && !('Open' in inner)) fixed.add((inner as Extract<Node, { ParamRef: unknown }>).ParamRef.number ?? 0)
      return inner
    })
    return { same, open: [...this.#open].filter((parameter) => !fixed.has(parameter)) }
  }

  #constant(constant: A_Const): Node | undefined {
    const kind = kindOf(constant)
    const { location } = constant
    if (kind === undefined) return undefined
    this.openings.push({ at: location ?? 0, last: location ?? 0, shown: `<${kind}>` })
    return mark(kind)
  }

  /** As many as there are, where all are constants; else each in its place. */
  list(items: readonly Node[]): Node[] {
    const constants = items.map((item) => ('A_Const' in item ? item.A_Const : undefined))
    const kinds = new Set(constants.map((constant) => constant && kindOf(constant)))
    const [kind] = kinds
    if (kinds.size !== 1 || kind === undefined) return items.map((item) => this.value(item) ?? item)
    this.openings.push({ at: constants[0]?.location ?? 0, last: constants.at(-1)?.location ?? 0, shown: `<${kind}>, …` })
    return [mark(`${kind}s`)]
  }

  /** A condition, and what of it compares a column with a value. */
  condition(node: Node | undefined): Node | undefined {
    if (node === undefined) return node
    if ('BoolExpr' in node) return { BoolExpr: { ...node.BoolExpr, args: (node.BoolExpr.args ?? []).map((arg) => this.condition(arg) ?? arg) } }
    if (!('A_Expr' in node) || operatorOf(node.A_Expr) !== '=') return node
    const { kind, lexpr, rexpr } = node.A_Expr
    const isColumn = (side: Node | undefined): boolean => side !== undefined && 'ColumnRef' in side
    if (kind === 'AEXPR_OP' && isColumn(lexpr)) return { A_Expr: { ...node.A_Expr, ...given('rexpr', this.value(rexpr)) } }
    if (kind === 'AEXPR_OP' && isColumn(rexpr)) return { A_Expr: { ...node.A_Expr, ...given('lexpr', this.value(lexpr)) } }
    if (!isColumn(lexpr) || rexpr === undefined) return node
    if (kind === 'AEXPR_IN' && 'List' in rexpr) return { A_Expr: { ...node.A_Expr, rexpr: { List: { ...rexpr.List, items: this.list(rexpr.List.items ?? []) } } } }
    if (kind !== 'AEXPR_OP_ANY') return node
    if (!('A_ArrayExpr' in rexpr)) return { A_Expr: { ...node.A_Expr, ...given('rexpr', this.value(rexpr)) } }
    return { A_Expr: { ...node.A_Expr, rexpr: { A_ArrayExpr: { ...rexpr.A_ArrayExpr, elements: this.list(rexpr.A_ArrayExpr.elements ?? []) } } } }
  }

  statement(node: Node): Node {
    if ('DeleteStmt' in node) return { DeleteStmt: { ...node.DeleteStmt, ...given('whereClause', this.condition(node.DeleteStmt.whereClause)) } }
    if (!('UpdateStmt' in node)) return node
    const targetList = (node.UpdateStmt.targetList ?? []).map((target) => ('ResTarget' in target ? { ResTarget: { ...target.ResTarget, ...given('val', this.value(target.ResTarget.val)) } } : target))
    return { UpdateStmt: { ...node.UpdateStmt, targetList, ...given('whereClause', this.condition(node.UpdateStmt.whereClause)) } }
  }
}

const given = <Name extends string>(name: Name, node: Node | undefined): { readonly [N in Name]?: Node } => (node === undefined ? {} : ({ [name]: node } as { readonly [N in Name]?: Node }))

/** What takes the place of a constant: its token, and that of a sign before it. */
const shown = (text: string, tokens: readonly Token[], openings: readonly Opening[]): string | undefined => {
  const bytes = Buffer.from(text)
  const places = new Map(tokens.map(({ start }, index) => [start, index]))
  const endOf = (at: number): number | undefined => {
    const index = places.get(at) ?? -1
    const token = tokens[index]
    return token?.text === '-' || token?.text === '+' ? tokens[index + 1]?.end : token?.end
  }
  let out = ''
  let from = 0
  for (const { at, last, shown: word } of openings.toSorted((a, b) => a.at - b.at)) {
    const end = endOf(last)
    if (end === undefined || at < from || !places.has(at)) return undefined
    out += visibleRaw(bytes.subarray(from, at).toString()) + word
    from = end
  }
  return out + visibleRaw(bytes.subarray(from).toString())
}

/** Of one plain UPDATE or DELETE, whose rows can be counted; `undefined` for anything else. */
export const patternIn = (text: string, parser: Parser): SqlPattern | undefined => {
  try {
    const [first, ...more] = parser.statements(text)
    if (first?.stmt === undefined || more.length > 0 || changesOf(first.stmt, text, parser) === undefined) return undefined
    const opener = new Opener()
    const opened = opener.opened(first.stmt)
    const words = shown(text, parser.tokens(text), opener.openings)
    return words === undefined ? undefined : { ...opened, text: words }
  } catch (error) {
    if (error instanceof SyntaxProblem || error instanceof ParserFailure || error instanceof RangeError) return undefined
    throw error
  }
}
