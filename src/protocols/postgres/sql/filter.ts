import type { A_Expr, Node, RangeVar } from '@pgsql/types'
import { canFail, not, truth, type Formula, type Truth } from './formula.ts'

const places: ReadonlySet<string> = new Set(['location', 'list_start', 'list_end', 'rexpr_list_start', 'rexpr_list_end', 'name_location', 'stmt_location', 'stmt_len'])

/** A tree without the places of its parts. */
export const withoutPlaces = (value: unknown, each: (value: unknown) => unknown = (same) => same): string =>
  JSON.stringify(value, (field, inner: unknown) => (places.has(field) ? undefined : each(inner))) ?? ''

export const operatorOf = (expression: A_Expr): string => {
  const [name, more] = expression.name ?? []
  return name !== undefined && more === undefined && 'String' in name ? (name.String.sval ?? '') : ''
}

const booleanTests: Readonly<Record<string, readonly Truth[] | undefined>> = {
  IS_TRUE: ['T'], IS_NOT_TRUE: ['F', 'N'], IS_FALSE: ['F'], IS_NOT_FALSE: ['T', 'N'], IS_UNKNOWN: ['N'], IS_NOT_UNKNOWN: ['T', 'F'],
}

/** `condition` is true or false, never null. */
const choice = (condition: Formula, then: Formula, otherwise: Formula): Formula => ({ is: 'or', of: [{ is: 'and', of: [condition, then] }, { is: 'and', of: [not(condition), otherwise] }] })

/** Reads one WHERE. `t.id` and `id` are one column when `t` is what the statement changes. */
class Reader {
  readonly #own: ReadonlySet<string>

  constructor(own: ReadonlySet<string>) {
    this.#own = own
  }

  #key(node: Node | undefined): string {
    return withoutPlaces(node, (inner) => {
      if (typeof inner !== 'object' || inner === null || !('ColumnRef' in inner)) return inner
      const { fields = [] } = (inner as Extract<Node, { ColumnRef: unknown }>).ColumnRef
      const [first] = fields
      const isOwn = fields.length === 2 && first !== undefined && 'String' in first && this.#own.has(first.String.sval ?? '')
      return isOwn ? { ColumnRef: { fields: fields.slice(1) } } : inner
    })
  }

  /** No quote stands unescaped inside of a text, so this finds columns only. */
  #atom(key: string, nullable = true): Formula & { readonly is: 'atom' } {
    return { is: 'atom', key, nullable, constant: !/\{"(?:ColumnRef|CurrentOfExpr)":/.test(key) }
  }

  #isNull(key: string): Formula & { readonly is: 'atom' } {
    return this.#atom(`null ${key}`, false)
  }

  formula(node: Node | undefined): Formula {
    if (node === undefined) return truth('T')
    if ('BoolExpr' in node) {
      const of = (node.BoolExpr.args ?? []).map((arg) => this.formula(arg))
      return node.BoolExpr.boolop === 'NOT_EXPR' ? not(of[0] ?? truth('T')) : { is: node.BoolExpr.boolop === 'AND_EXPR' ? 'and' : 'or', of }
    }
    if ('A_Const' in node && node.A_Const.isnull === true) return truth('N')
    if ('A_Const' in node && node.A_Const.boolval !== undefined) return truth(node.A_Const.boolval.boolval === true ? 'T' : 'F')
    if ('NullTest' in node) {
      const isNull = this.#isNull(this.#key(node.NullTest.arg))
      return node.NullTest.nulltesttype === 'IS_NULL' ? isNull : not(isNull)
    }
    if ('BooleanTest' in node) {
      const accepts = booleanTests[node.BooleanTest.booltesttype ?? '']
      return accepts === undefined ? truth('T') : { is: 'test', of: this.formula(node.BooleanTest.arg), accepts }
    }
    if ('TypeCast' in node && isBoolean(node.TypeCast.typeName?.names)) return this.formula(node.TypeCast.arg)
    if ('SubLink' in node && node.SubLink.subLinkType === 'EXISTS_SUBLINK' && isWithoutFrom(node.SubLink.subselect)) return truth('T')
    if ('CoalesceExpr' in node) return this.#coalesce(node.CoalesceExpr.args ?? [])
    if ('CaseExpr' in node && node.CaseExpr.arg === undefined) return this.#case(node.CaseExpr.args ?? [], node.CaseExpr.defresult)
    if ('A_Expr' in node) return this.#expression(node.A_Expr, node)
    return this.#atom(this.#key(node))
  }

  #coalesce([first, ...others]: readonly Node[]): Formula {
    if (first === undefined) return truth('N')
    const of = this.formula(first)
    return choice({ is: 'test', of, accepts: ['T', 'F'] }, of, this.#coalesce(others))
  }

  #case([first, ...others]: readonly Node[], otherwise: Node | undefined): Formula {
    if (first === undefined) return otherwise === undefined ? truth('N') : this.formula(otherwise)
    if (!('CaseWhen' in first)) return truth('T')
    const condition: Formula = { is: 'test', of: this.formula(first.CaseWhen.expr), accepts: ['T'] }
    return choice(condition, this.formula(first.CaseWhen.result), this.#case(others, otherwise))
  }

  #expression(expression: A_Expr, node: Node): Formula {
    const [operator, left, right] = [operatorOf(expression), expression.lexpr, expression.rexpr]
    switch (expression.kind) {
      case 'AEXPR_OP':
        return this.#comparison(operator, left, right) ?? this.#atom(this.#key(node))
      case 'AEXPR_IN':
        return this.#in(operator, left, right, node)
      case 'AEXPR_LIKE':
      case 'AEXPR_ILIKE': {
        const like = isAnything(right) ? this.#reflexive(this.#key(left)) : this.#atom(`${this.#key(left)} like ${this.#key(right)}`)
        return operator.startsWith('!') ? not(like) : like
      }
      case 'AEXPR_DISTINCT':
      case 'AEXPR_NOT_DISTINCT': {
        const [a, b] = [this.#key(left), this.#key(right)].toSorted()
        const same = a === b ? truth('T') : this.#atom(`${a} same ${b}`, false)
        return expression.kind === 'AEXPR_DISTINCT' ? not(same) : same
      }
      case 'AEXPR_BETWEEN':
      case 'AEXPR_NOT_BETWEEN': {
        const [low, high] = right !== undefined && 'List' in right ? (right.List.items ?? []) : []
        const between: Formula = { is: 'and', of: [this.#comparison('>=', left, low) ?? truth('T'), this.#comparison('<=', left, high) ?? truth('T')] }
        return expression.kind === 'AEXPR_BETWEEN' ? between : not(between)
      }
      default:
        return this.#atom(this.#key(node))
    }
  }

  #reflexive(key: string): Formula {
    return { is: 'unless-null', atom: this.#isNull(key) }
  }

  /** In terms of `=` and `<`, so that `a <> b` is the opposite of `b = a`. */
  #comparison(operator: string, left: Node | undefined, right: Node | undefined): Formula | undefined {
    const [a, b] = [this.#key(left), this.#key(right)]
    switch (operator) {
      case '=':
        return a === b ? this.#reflexive(a) : (known(left, right, (x, y) => x === y) ?? this.#atom([a, b].toSorted().join(' = ')))
      case '<':
        return a === b ? not(this.#reflexive(a)) : (known(left, right, (x, y) => x < y) ?? this.#atom(`${a} < ${b}`))
      case '>':
        return this.#comparison('<', right, left)
      case '<>':
        return not(this.#comparison('=', left, right) ?? truth('F'))
      case '<=':
        return not(this.#comparison('<', right, left) ?? truth('F'))
      case '>=':
        return not(this.#comparison('<', left, right) ?? truth('F'))
      default:
        return undefined
    }
  }

  #in(operator: string, left: Node | undefined, right: Node | undefined, node: Node): Formula {
    const items = right !== undefined && 'List' in right ? (right.List.items ?? []) : []
    const key = this.#key(left)
    const is: Formula = items.some((item) => this.#key(item) === key)
      ? this.#reflexive(key)
      : items.length > 0 && items.length <= 16
        ? { is: 'or', of: items.map((item) => this.#comparison('=', left, item) ?? truth('T')) }
        : this.#atom(this.#key(node).replace('"<>"', '"="'))
    return operator === '<>' ? not(is) : is
  }
}

/** Two numbers that are written out. */
const known = (left: Node | undefined, right: Node | undefined, compare: (a: number, b: number) => boolean): Formula | undefined => {
  const [a, b] = [left, right].map((node) => (node !== undefined && 'A_Const' in node && node.A_Const.ival !== undefined ? (node.A_Const.ival.ival ?? 0) : undefined))
  return a === undefined || b === undefined ? undefined : truth(compare(a, b) ? 'T' : 'F')
}

const isBoolean = (names: readonly Node[] | undefined): boolean => {
  const last = names?.at(-1)
  return last !== undefined && 'String' in last && last.String.sval === 'bool'
}

const isAnything = (pattern: Node | undefined): boolean => pattern !== undefined && 'A_Const' in pattern && /^%+$/.test(pattern.A_Const.sval?.sval ?? '')

const isWithoutFrom = (query: Node | undefined): boolean =>
  query !== undefined && 'SelectStmt' in query && query.SelectStmt.fromClause === undefined && query.SelectStmt.whereClause === undefined && query.SelectStmt.havingClause === undefined && query.SelectStmt.limitCount === undefined && query.SelectStmt.limitOffset === undefined && query.SelectStmt.op === 'SETOP_NONE'

/** Whether a WHERE keeps any row out of a change: not `TRUE`, `1 = 1`, `id = id`, nor anything else that can be shown to hold for all rows. */
export const restricts = (where: Node | undefined, relation: RangeVar | undefined): boolean =>
  where !== undefined && canFail(new Reader(new Set([relation?.alias?.aliasname ?? relation?.relname ?? ''])).formula(where))
