import type { ColumnRef, StatementReading } from './reading.ts'

/** What a statement does with the values of columns, beside showing them. */
export type Uses = Required<Pick<StatementReading, 'used' | 'renames' | 'labels' | 'literals'>>

type Json = unknown
type Fields = Readonly<Record<string, Json>>

/** Of one statement, as the parser gives it. Every column that is not found in a place where it is only shown counts as used. */
export const usesOf = (statement: Json): Uses => {
  const uses = new UsesOf()
  uses.statement(statement)
  uses.everywhere(statement)
  return Object.freeze({ used: uses.columns, renames: uses.renames, labels: uses.labels, literals: uses.literals })
}

class UsesOf {
  readonly #columns = new Map<string, ColumnRef>()
  readonly #literals = new Set<string>()
  renames = false
  labels = false

  get columns(): readonly ColumnRef[] {
    return [...this.#columns.values()]
  }

  get literals(): readonly string[] {
    return [...this.#literals]
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
          if (name === 'returningList' || name === 'returningClause') this.#shown(part)
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
    if (!outermost && targets.some((target) => opened(target)[1]['name'] !== undefined)) this.labels = true
    // What is above has compared all outputs below.
    const compares = compared || comparesRows(fields)
    if (compares && !compared) this.#use(outputsOf(fields))
    for (const [name, part] of Object.entries(fields)) {
      if (name === 'targetList' || name === 'valuesLists') this.#shown(part)
      else if (name === 'fromClause') list(part).forEach((item) => this.#from(item))
      else if (name === 'larg' || name === 'rarg') this.#select(record(part), outermost, compares)
      else if (name === 'withClause') list(record(part)['ctes']).forEach((query) => this.#shown(query))
      else if (name === 'sortClause' || name === 'groupClause' || name === 'distinctClause') this.#ordered(part, fields)
      else this.#use(part)
    }
  }

  /** Values that become values of the result. What is computed of them counts as computed there. */
  #shown(node: Json): void {
    if (Array.isArray(node)) return node.forEach((one) => this.#shown(one))
    if (typeof node !== 'object' || node === null) return
    const fields = node as Fields
    for (const [name, part] of Object.entries(fields)) {
      if (name === 'ColumnRef') continue
      if (name === 'SelectStmt') this.#select(record(part), false)
      else if (/^(?:Insert|Update|Delete|Merge)Stmt$/.test(name)) {
        this.labels ||= labelled({ returningList: record(part)['returningList'], returningClause: record(part)['returningClause'] })
        this.statement({ [name]: part })
      } else if (HIDDEN_USES.has(name)) this.#use(part)
      else this.#shown(part)
    }
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
  #ordered(part: Json, { targetList, larg }: Fields): void {
    this.#use(part)
    const targets = larg === undefined ? list(targetList) : leftmost(larg)
    const [numbers, names] = [positionsIn(part), namesIn(part)]
    if (numbers && targets.length === 0) this.#column({ name: '*' })
    for (const target of targets) if (numbers || names.has(String(opened(target)[1]['name'] ?? ''))) this.#use(opened(target)[1]['val'])
  }

  #use(node: Json): void {
    if (Array.isArray(node)) return node.forEach((one) => this.#use(one))
    if (typeof node !== 'object' || node === null) return
    for (const [name, part] of Object.entries(node as Fields)) {
      if (name === 'ColumnRef') this.#column(columnOf(record(part)))
      else if (name === 'usingClause' && list(part).some((one) => opened(one)[0] === 'String')) list(part).forEach((one) => this.#column({ name: nameOf(one) }))
      else {
        if (name === 'isNatural' && part === true) this.#column({ name: '*' })
        if (name === 'SelectStmt' || name === 'larg' || name === 'rarg') this.labels ||= labelled({ targetList: record(part)['targetList'] })
        if (/^(?:Insert|Update|Delete|Merge)Stmt$/.test(name)) this.labels ||= labelled({ returningList: record(part)['returningList'], returningClause: record(part)['returningClause'] })
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
    for (const [name, part] of Object.entries(node as Fields)) {
      if ((name === 'colnames' || name === 'aliascolnames') && list(part).length > 0) this.renames = true
      if (name === 'A_Const') {
        const text = record(record(part)['sval'])['sval']
        if (typeof text === 'string') this.#literals.add(text)
      }
      this.everywhere(part)
    }
  }
}

/** Parts of an expression that decide about rows although the expression is only shown. */
const HIDDEN_USES = new Set(['agg_filter', 'agg_order', 'over', 'agg_within_group', 'testexpr'])

const opened = (node: Json): readonly [string, Fields] => {
  const [first] = Object.entries(record(node))
  return first === undefined ? ['', {}] : [first[0], record(first[1])]
}

const record = (value: Json): Fields => (typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {})

const list = (value: Json): readonly Json[] => (Array.isArray(value) ? (value as readonly Json[]) : value === undefined || value === null ? [] : [value])

const nameOf = (node: Json): string => {
  const [kind, fields] = opened(node)
  return kind === 'String' ? String(fields['sval'] ?? '') : '*'
}

const columnOf = (fields: Fields): ColumnRef => {
  const names = list(fields['fields']).map(nameOf)
  const name = names.at(-1) ?? '*'
  const qualifier = names.at(-2)
  return qualifier === undefined ? { name } : { qualifier, name }
}

/** DISTINCT, UNION, INTERSECT and EXCEPT: equal rows become one. Only UNION ALL compares nothing. */
const comparesRows = ({ distinctClause, larg, op, all }: Fields): boolean => list(distinctClause).some((item) => Object.keys(record(item)).length === 0) || (larg !== undefined && !(op === 'SETOP_UNION' && all === true))

/** The values of all outputs, of each query that a UNION puts together. */
const outputsOf = (fields: Fields): readonly Json[] =>
  fields['larg'] === undefined ? [...list(fields['targetList']).map((target) => opened(target)[1]['val']), ...list(fields['valuesLists'])] : [...outputsOf(record(fields['larg'])), ...outputsOf(record(fields['rarg']))]

/** The outputs of a UNION are those of its first query. */
const leftmost = (node: Json): readonly Json[] => {
  const fields = record(node)
  return fields['larg'] === undefined ? list(fields['targetList']) : leftmost(fields['larg'])
}

const some = (node: Json, test: (name: string, part: Json) => boolean): boolean =>
  Array.isArray(node) ? node.some((one) => some(one, test)) : Object.entries(record(node)).some(([name, part]) => test(name, part) || some(part, test))

const positionsIn = (node: Json): boolean => some(node, (name) => name === 'A_Const')

const namesIn = (node: Json): ReadonlySet<string> => {
  const names = new Set<string>()
  some(node, (name, part) => {
    if (name === 'ColumnRef') names.add(columnOf(record(part)).name)
    return false
  })
  return names
}

const labelled = ({ targetList, returningList, returningClause }: Fields): boolean => some([targetList, returningList, returningClause], (name, part) => name === 'ResTarget' && record(part)['name'] !== undefined)
