import { isBuiltinOperator } from '../sql/builtins.ts'
import type { FunctionNature } from '../sql/names.ts'
import type { Ask } from './ask.ts'
import type { Catalog, Column, Relation, ViewSource } from './catalog.ts'
import { graver, natureOf } from './natures.ts'
import { CASTS, FINGERPRINT, FIRES, FIRST_USER_OID, FUNCTIONS, GENERATED, INHERITANCE, LONGEST_VIEW, MOST_FUNCTIONS, MOST_RELATIONS, OPERATORS, RELATIONS, TYPES, VIEW_BATCH, VIEW_COLUMNS, VIEW_VERSIONS, viewTrees } from './queries.ts'
import { functionsIn, readViewTree, type ViewTree } from './view-tree.ts'

export interface SnapshotOptions {
  /** On a connection that nobody else uses meanwhile. */
  readonly ask: Ask
  readonly now: () => number
  /** What `pg_catalog` offers under this name. */
  readonly builtin: (name: string) => FunctionNature | undefined
  /** The snapshot before: nothing is fetched again that has not changed. */
  readonly previous?: Snapshot
}

export interface Snapshot extends Catalog {
  /** Equal for equal catalogs. */
  readonly fingerprint: string
  readonly relations: ReadonlyMap<number, Relation>
  /** Columns that changed their name since the snapshot before, as `public.users.ssn is now ssn_new`. */
  readonly renamed: readonly string[]
  /** By view: the version of its definition, and what it says. */
  readonly trees: ReadonlyMap<number, { readonly version: string; readonly tree: ViewTree | undefined }>
}

type Row = readonly (string | null)[]

/** Rejects where the server does, and where the database is larger than we can hold. */
export const takeSnapshot = async (options: SnapshotOptions): Promise<Snapshot> => {
  const { ask, previous, now } = options
  await ask('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  try {
    const takenAt = now()
    const fingerprint = text((await ask(FINGERPRINT))[0], 0)
    return previous?.fingerprint === fingerprint ? { ...previous, takenAt, renamed: [] } : await fetchAll(options, takenAt, fingerprint)
  } finally {
    await ask('ROLLBACK').catch(() => undefined)
  }
}

const fetchAll = async ({ ask, builtin, previous }: SnapshotOptions, takenAt: number, fingerprint: string): Promise<Snapshot> => {
  const functions = functionTable(bounded(await ask(FUNCTIONS), MOST_FUNCTIONS, 'functions'), builtin)
  const types = typeTable(bounded(await ask(TYPES), MOST_RELATIONS, 'types'), await ask(CASTS), functions.byOid)
  const operators = new Map<string, FunctionNature>()
  for (const row of await ask(OPERATORS)) worsen(operators, key(text(row, 0), text(row, 1)), functions.byOid(number(row, 2)))
  const renamed: string[] = []
  const trees = await fetchTrees(ask, previous)
  const relations = await fetchRelations(ask, { previous, renamed, views: viewSources(trees, await ask(VIEW_COLUMNS), functions.byOid) })
  const byName = new Map([...relations.values()].map((relation) => [key(relation.schema, relation.name), relation]))
  return {
    takenAt,
    fingerprint,
    relations,
    renamed,
    trees,
    byOid: (oid) => relations.get(oid),
    byName: (schema, name) => byName.get(key(schema, name)),
    function: (schema, name) => (schema === 'pg_catalog' ? (builtin(name) ?? functions.named.get(key(schema, name))) : functions.named.get(key(schema, name))),
    attribute: (name) => functions.attributes.get(name),
    type: (schema, name) => types.get(key(schema, name)),
    operator: (schema, name) => operators.get(key(schema, name)) ?? (schema === 'pg_catalog' && isBuiltinOperator(name) ? 'pure' : undefined),
  }
}

interface FunctionTable {
  /** By schema and name. */
  readonly named: ReadonlyMap<string, FunctionNature>
  /** By name alone. */
  readonly attributes: ReadonlyMap<string, FunctionNature>
  byOid(oid: number): FunctionNature
}

const functionTable = (rows: readonly Row[], builtin: SnapshotOptions['builtin']): FunctionTable => {
  const [named, attributes, natures] = [new Map<string, FunctionNature>(), new Map<string, FunctionNature>(), new Map<number, FunctionNature>()]
  const add = (row: Row, nature: FunctionNature): void => {
    const [oid, schema, name] = [number(row, 0), text(row, 1), text(row, 2)]
    natures.set(oid, nature)
    worsen(named, key(schema, name), nature)
    if (row[5] === 't') worsen(attributes, name, nature)
  }
  const aggregates: Row[] = []
  for (const row of rows) {
    const own = text(row, 1) !== 'pg_catalog' || number(row, 0) >= FIRST_USER_OID
    if (!own) add(row, builtin(text(row, 2)) ?? 'volatile')
    else if (row[6] !== '') aggregates.push(row)
    else add(row, natureOf({ name: text(row, 2), volatility: text(row, 3), language: text(row, 4) }))
  }
  // No aggregate is part of another one.
  for (const row of aggregates) add(row, text(row, 6).split(' ').filter((oid) => oid !== '0').map((oid) => natures.get(Number(oid)) ?? 'volatile').reduce(graver, 'pure'))
  return { named, attributes, byOid: (oid) => natures.get(oid) ?? 'volatile' }
}

/** What a cast to or from each type may run. */
const typeTable = (rows: readonly Row[], casts: readonly Row[], functionNature: (oid: number) => FunctionNature): ReadonlyMap<string, FunctionNature> => {
  const parts = new Map<number, { readonly name: string; readonly of: readonly number[]; nature: FunctionNature }>()
  for (const row of rows) {
    const checks = [...functionsIn(row[8] ?? '')].map(functionNature)
    const input = row[3] === 'b' ? functionNature(number(row, 6)) : 'pure'
    const of = [number(row, 4), number(row, 5), ...(row[7] ?? '').split(' ').map(Number)].filter((oid) => oid >= FIRST_USER_OID)
    parts.set(number(row, 0), { name: key(text(row, 1), text(row, 2)), of, nature: checks.reduce(graver, number(row, 5) === 0 ? input : 'pure') })
  }
  for (const cast of casts) {
    for (const at of [0, 1]) {
      const part = parts.get(number(cast, at))
      if (part !== undefined) part.nature = graver(part.nature, functionNature(number(cast, 2)))
    }
  }
  const natureOfType = (oid: number, seen: ReadonlySet<number>): FunctionNature => {
    const part = parts.get(oid)
    if (part === undefined || seen.has(oid)) return 'volatile'
    return part.of.map((inner) => natureOfType(inner, new Set([...seen, oid]))).reduce(graver, part.nature)
  }
  return new Map([...parts].map(([oid, { name }]) => [name, natureOfType(oid, new Set())]))
}

const fetchTrees = async (ask: Ask, previous: Snapshot | undefined): Promise<Snapshot['trees']> => {
  const trees = new Map<number, { readonly version: string; readonly tree: ViewTree | undefined }>()
  const fetchSome = async (views: ReadonlyMap<number, string>): Promise<void> => {
    if (views.size === 0) return
    for (const row of await ask(viewTrees([...views.keys()]))) trees.set(number(row, 0), { version: views.get(number(row, 0)) ?? '', tree: readViewTree(text(row, 1)) })
  }
  let batch = new Map<number, string>()
  let size = 0
  for (const row of await ask(VIEW_VERSIONS)) {
    const [oid, version, length] = [number(row, 0), text(row, 1), number(row, 2)]
    const known = previous?.trees.get(oid)
    if (known?.version === version || length > LONGEST_VIEW) {
      trees.set(oid, known?.version === version ? known : { version, tree: undefined })
      continue
    }
    batch.set(oid, version)
    size += length
    if (size < VIEW_BATCH) continue
    await fetchSome(batch)
    batch = new Map()
    size = 0
  }
  await fetchSome(batch)
  return trees
}

const viewSources = (trees: Snapshot['trees'], columns: readonly Row[], functionNature: (oid: number) => FunctionNature): ReadonlyMap<number, ViewSource | 'unknown'> => {
  const used = new Map<number, Map<number, Set<number>>>()
  for (const row of columns) {
    const [view, relation, column] = [number(row, 0), number(row, 1), number(row, 2)]
    const of = used.get(view) ?? new Map<number, Set<number>>()
    used.set(view, of)
    const numbers = of.get(relation) ?? new Set()
    of.set(relation, numbers)
    if (column > 0) numbers.add(column)
  }
  const sourceOf = (oid: number, tree: ViewTree): ViewSource => {
    const known = used.get(oid)
    // The server keeps no dependencies on its own tables, and none on the columns of a whole row.
    const uses = new Map([...tree.relations].filter((relation) => relation !== oid).map((relation) => [relation, tree.wholeRows ? ('all' as const) : (known?.get(relation) ?? ('all' as const))]))
    return { origins: tree.origins, uses, calls: [...tree.functions].map(functionNature).reduce(graver, 'pure') }
  }
  return new Map([...trees].map(([oid, { tree }]) => [oid, tree === undefined ? 'unknown' : sourceOf(oid, tree)]))
}

interface RelationContext {
  readonly previous: Snapshot | undefined
  readonly renamed: string[]
  readonly views: ReadonlyMap<number, ViewSource | 'unknown'>
}

const KINDS: Readonly<Record<string, Relation['kind']>> = { v: 'view', m: 'view', f: 'foreign' }

const fetchRelations = async (ask: Ask, { previous, renamed, views }: RelationContext): Promise<ReadonlyMap<number, Relation>> => {
  const rows = bounded(await ask(RELATIONS), MOST_RELATIONS, 'relations')
  const [parents, children] = [new Map<number, number[]>(), new Map<number, number[]>()]
  for (const row of await ask(INHERITANCE)) {
    append(parents, number(row, 0), number(row, 1))
    append(children, number(row, 1), number(row, 0))
  }
  const generated = new Map<number, Map<number, number[]>>()
  for (const row of await ask(GENERATED)) {
    const columns = generated.get(number(row, 0)) ?? new Map<number, number[]>()
    generated.set(number(row, 0), columns)
    append(columns, number(row, 1), number(row, 2))
  }
  const firing = await ask(FIRES)
  const fires = new Set(firing.map((row) => number(row, 0)))
  const ruled = new Set(firing.filter((row) => row[1] === 't').map((row) => number(row, 0)))
  return new Map(
    rows.map((row): [number, Relation] => {
      const [oid, schema, name, kind] = [number(row, 0), text(row, 1), text(row, 2), text(row, 3)]
      const system = row[4] === 't'
      const before = previous?.byOid(oid)
      const columns = columnsOf(row[5] ?? null, before, generated.get(oid), (was, is) => renamed.push(`${schema}.${name}.${was} is now ${is}`))
      const view = !system && (kind === 'v' || kind === 'm') ? (views.get(oid) ?? 'unknown') : undefined
      const relation = { oid, schema, name, kind: system ? ('system' as const) : (KINDS[kind] ?? 'table'), columns, parents: parents.get(oid) ?? NONE, children: children.get(oid) ?? NONE, fires: fires.has(oid), rules: ruled.has(oid) }
      return [oid, view === undefined ? relation : { ...relation, view }]
    }),
  )
}

const NONE: readonly number[] = Object.freeze([])

const columnsOf = (json: string | null, before: Relation | undefined, generated: ReadonlyMap<number, readonly number[]> | undefined, onRename: (was: string, is: string) => void): ReadonlyMap<number, Column> => {
  const columns = new Map<number, Column>()
  for (const [at, name] of (json === null ? [] : JSON.parse(json)) as readonly (readonly [number, string])[]) {
    const known = before?.columns.get(at)
    if (known !== undefined && known.name !== name) onRename(known.name, name)
    const former = known === undefined ? NO_NAMES : known.name === name ? known.former : [...new Set([...known.former, known.name])].slice(-MOST_FORMER)
    const madeOf = generated?.get(at)
    columns.set(at, madeOf === undefined ? { number: at, name, former } : { number: at, name, former, madeOf })
  }
  return columns
}

const NO_NAMES: readonly string[] = Object.freeze([])
const MOST_FORMER = 16

const key = (schema: string, name: string): string => `${schema}\0${name}`

const worsen = (natures: Map<string, FunctionNature>, name: string, nature: FunctionNature): void => {
  natures.set(name, graver(natures.get(name) ?? 'pure', nature))
}

const append = (lists: Map<number, number[]>, at: number, value: number): void => {
  const list = lists.get(at)
  if (list === undefined) lists.set(at, [value])
  else list.push(value)
}

const text = (row: Row | undefined, at: number): string => {
  const value = row?.[at]
  if (value === undefined || value === null) throw new Error('the catalog answers with a row that lacks a value')
  return value
}

const number = (row: Row, at: number): number => {
  const value = Number(text(row, at))
  if (!Number.isSafeInteger(value)) throw new Error('the catalog answers with what is no number')
  return value
}

const bounded = (rows: readonly Row[], most: number, what: string): readonly Row[] => {
  if (rows.length > most) throw new Error(`the database has more than ${most} ${what}`)
  return rows
}
