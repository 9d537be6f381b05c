import { comparesRows, goesBy, hasOwnName, labelled, namesIn, outputsOf, positionsIn } from './outputs.ts'
import type { Alias, ColumnRef, StatementReading } from './reading.ts'
import { isTotal } from './total.ts'
import { columnOf, isChange, isNode, list, nameOf, opened, record, relationOf, soleName, type Fields, type Json } from './tree.ts'

/** What a statement does with the values of columns, beside showing them. */
export type Uses = Required<Pick<StatementReading, 'used' | 'renames' | 'labels' | 'literals' | 'aliases'>>

/** Of one statement, as the parser gives it. Every column that is not found in a place where it is only shown counts as used. */
export const usesOf = (statement: Json): Uses => {
  const uses = new UsesOf()
  uses.statement(statement)
  uses.everywhere(statement)
  return Object.freeze({ used: uses.columns, renames: uses.renames, labels: uses.labels, literals: uses.literals, aliases: uses.aliases })
}

class UsesOf {
  readonly #columns = new Map<string, ColumnRef>()
  readonly #literals = new Set<string>()
  readonly #aliases = new Map<string, Alias>()
  readonly #queries = new Set<string>()
  renames = false
  labels = false

  get columns(): readonly ColumnRef[] {
    return [...this.#columns.values()]
  }

  get literals(): readonly string[] {
    return [...this.#literals]
  }

  /** The name of a WITH query stands for no relation. */
  get aliases(): readonly Alias[] {
    return [...this.#aliases.values()].map(({ name, relation }) => (relation === undefined || (relation.schema === undefined && this.#queries.has(relation.name)) ? { name } : { name, relation }))
  }

  /** Its rows go to the client, or to a query whose rows do. */
  statement(node: Json): void {
    const [kind, fields] = opened(node)
    switch (kind) {
      case 'SelectStmt':
        return this.#select(fields, true)
      case 'ExplainStmt':
      case 'PrepareStmt':
      case 'DeclareCursorStmt':
      case 'CopyStmt':
        return this.statement(fields['query'])
      case 'UpdateStmt':
      case 'InsertStmt':
      case 'DeleteStmt':
      case 'MergeStmt':
        for (const [name, part] of Object.entries(fields)) {
          if (name === 'returningClause') this.#shown(part)
          else this.#use(part)
        }
        return
      default:
        this.#use(node)
    }
  }

  /** `outermost`: names of its outputs are seen by nobody but the client. */
  #select(fields: Fields, outermost: boolean, compared = false): void {
    if (fields['intoClause'] !== undefined) return this.#use(fields)
    const targets = list(fields['targetList'])
    // Behind the first query of a UNION the outputs of the others go by its names.
    if (!outermost && (fields['larg'] !== undefined || targets.some(hasOwnName))) this.labels = true
    // What is above has compared all outputs below.
    const compares = compared || comparesRows(fields)
    if (compares && !compared) this.#use(outputsOf(fields))
    for (const [name, part] of Object.entries(fields)) {
      if (name === 'targetList' || name === 'valuesLists') this.#shown(part)
      else if (name === 'fromClause') list(part).forEach((item) => this.#from(item))
      else if (name === 'larg' || name === 'rarg') this.#select(record(part), outermost, compares)
      else if (name === 'withClause') list(record(part)['ctes']).forEach((query) => this.#shown(query))
      else if (name === 'sortClause' || name === 'distinctClause') list(part).forEach((item) => this.#sorted(item, fields))
      else if (name === 'groupClause') this.#ordered(part, fields)
      else this.#use(part)
    }
  }

  /** Values that become values of the result, as they are or in an expression that tells nothing of them but its result. */
  #shown(node: Json): void {
    if (Array.isArray(node)) return node.forEach((one) => this.#shown(one))
    if (typeof node !== 'object' || node === null) return
    const fields = node as Fields
    for (const [name, part] of Object.entries(fields)) {
      if (name === 'ColumnRef') continue
      if (name === 'CaseExpr') this.#choice(record(part))
      else if (isNode(name, part) && !name.endsWith('Stmt') && !isTotal(name, record(part))) this.#use(part)
      else if (name === 'SubLink') this.#value(record(part))
      else if (name === 'SelectStmt') this.#select(record(part), false)
      else if (isChange(name)) {
        this.labels ||= labelled(record(part)['returningClause'])
        this.statement({ [name]: part })
      } else if (HIDDEN_USES.has(name)) this.#use(part)
      else this.#shown(part)
    }
  }

  /** A query in the place of a value: nobody sees the names of its outputs. */
  #value({ testexpr, subselect }: Fields): void {
    this.#use(testexpr)
    this.#select(record(record(subselect)['SelectStmt']), true)
  }

  #choice({ arg, args, defresult }: Fields): void {
    this.#use(arg)
    for (const when of list(args)) {
      const [, { expr, result }] = opened(when)
      this.#use(expr)
      this.#shown(result)
    }
    this.#shown(defresult)
  }

  #from(item: Json): void {
    const [kind, fields] = opened(item)
    if (kind === 'RangeVar') return
    if (kind === 'RangeSubselect') return this.#shown(fields['subquery'])
    if (kind !== 'JoinExpr') return this.#use(item)
    this.#from(fields['larg'])
    this.#from(fields['rarg'])
    for (const [name, part] of Object.entries(fields)) if (name !== 'larg' && name !== 'rarg') this.#use({ [name]: part })
    if (fields['isNatural'] === true) this.#column({ name: '*' })
  }

  /** A number or the name of an output stands for that output. */
  #sorted(item: Json, fields: Fields): void {
    const label = soleName(opened(item)[0] === 'SortBy' ? opened(item)[1]['node'] : item)
    const named = fields['larg'] === undefined && label !== undefined ? list(fields['targetList']).filter((target) => opened(target)[1]['name'] === label) : []
    // Here the name of an output stands before that of a column; behind GROUP BY it is the other way round.
    if (named.length === 0) return this.#ordered(item, fields)
    for (const target of named) this.#use(opened(target)[1]['val'])
  }

  #ordered(part: Json, fields: Fields): void {
    this.#use(part)
    if (fields['larg'] !== undefined) return this.#use(outputsOf(fields))
    const targets = list(fields['targetList'])
    const [numbers, names] = [positionsIn(part), namesIn(part)]
    if (numbers && targets.length === 0) this.#column({ name: '*' })
    for (const target of targets) if (numbers || goesBy(target, names)) this.#use(opened(target)[1]['val'])
  }

  #use(node: Json): void {
    if (Array.isArray(node)) return node.forEach((one) => this.#use(one))
    if (typeof node !== 'object' || node === null) return
    for (const [name, part] of Object.entries(node as Fields)) {
      if (name === 'ColumnRef') this.#column(columnOf(record(part)))
      else if (name === 'usingClause' && list(part).some((one) => opened(one)[0] === 'String')) list(part).forEach((one) => this.#column({ name: nameOf(one) }))
      else if (name === 'SubLink') {
        const { subselect, ...compared } = record(part)
        this.#use(compared)
        // Nobody sees the names of its outputs.
        this.#use(record(record(subselect)['SelectStmt']))
      } else {
        if (name === 'isNatural' && part === true) this.#column({ name: '*' })
        if (name === 'SelectStmt') this.labels ||= record(part)['larg'] !== undefined || labelled(record(part)['targetList'])
        if (isChange(name)) this.labels ||= labelled(record(part)['returningClause'])
        this.#use(part)
      }
    }
  }

  #column(column: ColumnRef): void {
    this.#columns.set(`${column.qualifier ?? ''}\0${column.name}`, column)
  }

  /** What counts wherever it stands. */
  everywhere(node: Json): void {
    if (Array.isArray(node)) return node.forEach((one) => this.everywhere(one))
    if (typeof node !== 'object' || node === null) return
    if (typeof record(node)['relname'] === 'string') this.#alias(record(node), relationOf(record(node)))
    for (const [name, part] of Object.entries(node as Fields)) {
      if ((name === 'colnames' || name === 'aliascolnames') && list(part).length > 0) this.renames = true
      // Rows go round or stop by the values of these.
      if (name === 'search_col_list' || name === 'cycle_col_list') list(part).forEach((one) => this.#column({ name: nameOf(one) }))
      if (name === 'CommonTableExpr') this.#queries.add(String(record(part)['ctename']))
      if (name === 'JoinExpr' || name === 'RangeSubselect') this.#alias(record(part))
      if (isChange(name) && record(part)['returningClause'] !== undefined) this.#returning(record(part))
      if (name === 'A_Const') {
        const text = record(record(part)['sval'])['sval']
        if (typeof text === 'string') this.#literals.add(text)
      }
      this.everywhere(part)
    }
  }

  #alias({ alias, join_using_alias: using }: Fields, relation?: Alias['relation']): void {
    for (const given of [alias, using]) {
      const name = record(given)['aliasname']
      if (typeof name === 'string') this.#named(name, relation)
    }
    if (alias === undefined && relation !== undefined) this.#named(relation.name, relation)
  }

  /** `old` and `new` stand for the row as it was and as it is. */
  #returning({ relation, returningClause }: Fields): void {
    const target = relationOf(record(relation))
    for (const name of ['old', 'new']) this.#named(name, target)
    for (const option of list(record(returningClause)['options'])) this.#named(String(opened(option)[1]['value']), target)
  }

  #named(name: string, relation: Alias['relation']): void {
    this.#aliases.set(JSON.stringify([name, relation]), relation === undefined ? { name } : { name, relation })
  }
}

/** Parts of an expression that decide about rows although the expression is only shown. */
const HIDDEN_USES = new Set(['agg_filter', 'agg_order', 'over', 'agg_within_group'])
