import type { FunctionNature, KnownRelation, Names } from '../sql/names.ts'
import type { ForeignRef, FunctionRef, RelationRef, StatementReading } from '../sql/reading.ts'
import type { Ask } from './ask.ts'
import type { Catalog, Relation } from './catalog.ts'
import { graver } from './natures.ts'
import { findOwnChanges, NO_CHANGES, type OwnChanges } from './own-changes.ts'
import { findNow, withTables } from './own-tables.ts'
import { readsOf } from './view-reads.ts'

export interface SessionNamesOptions {
  /** The newest snapshot at each call. */
  readonly catalog: () => Catalog
  readonly prepared: (name: string) => StatementReading | undefined
  readonly cursor: (name: string) => StatementReading | undefined
}

/** What names mean in one session. */
export interface SessionNames extends Names {
  readonly catalog: Catalog
  /**
   * False at first, and once the session may have defined anything or moved its search_path: then no name is known.
   * Where it is false, refresh before the next statement is judged.
   */
  readonly current: boolean
  /** Call when a statement was forwarded that may define something or move the search_path, or that nobody understands, and when a transaction ends. */
  doubt(): void
  /** Asks the server, on the session's own connection. */
  refresh(ask: Ask): Promise<void>
  /** Asks the server where these names lead in a transaction that has defined something: to tables of its own, or elsewhere than the catalog says. Once for each name, until there is doubt again. */
  learn(ask: Ask, relations: readonly RelationRef[]): Promise<void> | undefined
  /** As the server has it, temporary and implicit schemas included. */
  readonly path: readonly string[]
  /** Where functions, types and operators of somebody's own are found that it names without a schema: one more or one less may be another one. */
  homes(statement: StatementReading): readonly string[]
  /** The schema and the relation behind it, if the catalog has it. */
  find(ref: { readonly schema?: string; readonly name: string }): Relation | undefined
}

/** More temporary tables than this, and their names are not known. */
const MOST_TEMPORARY = 10_000

/** Names that one transaction may ask about. */
const MOST_ASKED = 1_000

/** Where new objects go, then the path. */
const PATH = `SELECT pg_catalog.unnest(pg_catalog.array_prepend(pg_catalog.current_schema(), pg_catalog.current_schemas(true)))`
/** What reading a view, or a table with rules, reads is not looked up for temporary ones: nobody knows it. */
const TEMPORARY = `SELECT c.relname, c.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'p', 'S']::pg_catalog."char"[]) AND NOT c.relhasrules
  FROM pg_catalog.pg_class c WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema() AND c.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'p', 'v', 'm', 'f', 'S']::pg_catalog."char"[]) LIMIT ${MOST_TEMPORARY + 1}`

export const makeSessionNames = ({ catalog: shared, prepared, cursor }: SessionNamesOptions): SessionNames => {
  /** Tables of the open transaction, and with which catalog they were put together. */
  let own: readonly Relation[] = []
  let joined: { readonly base: Catalog; readonly own: readonly Relation[]; readonly catalog: Catalog } | undefined
  /** Where names lead in the open transaction, by number; `undefined`: nowhere. */
  const asked = new Map<string, number | undefined>()
  let changes: OwnChanges = NO_CHANGES
  const catalog = (): Catalog => {
    const base = shared()
    if (own.length === 0) return base
    if (joined?.base !== base || joined.own !== own) joined = { base, own, catalog: withTables(base, own) }
    return joined.catalog
  }
  let path: readonly string[] = []
  let creates: string | undefined
  /** Whether it is plain: reading it reads it and nothing else. */
  let temporary: ReadonlyMap<string, boolean> = new Map()
  let current = false
  let doubts = 0
  /** Of all schemas that the name can be found in: what the server chooses among them depends on types. */
  const gravest = (ref: FunctionRef, of: (schema: string) => FunctionNature | undefined): FunctionNature => {
    if (!current) return 'volatile'
    if (ref.schema !== undefined) return isTemporary(ref.schema) ? 'volatile' : (of(ref.schema) ?? 'volatile')
    const natures = path.filter((schema) => !isTemporary(schema)).map(of).filter((nature) => nature !== undefined)
    return natures.length === 0 ? 'volatile' : natures.reduce(graver)
  }
  const find = (ref: { readonly schema?: string; readonly name: string }): Relation | undefined => {
    const relation = named(ref)
    if (relation === undefined || own.includes(relation)) return relation
    const name = key(ref)
    return changes.touches(shared(), relation) || (asked.has(name) && asked.get(name) !== relation.oid) ? undefined : relation
  }
  const named = (ref: { readonly schema?: string; readonly name: string }): Relation | undefined => {
    const snapshot = catalog()
    if (!current) return undefined
    if (ref.schema !== undefined) return isTemporary(ref.schema) ? undefined : snapshot.byName(ref.schema, ref.name)
    if (temporary.has(ref.name)) return undefined
    for (const schema of path) {
      const relation = snapshot.byName(schema, ref.name)
      if (relation !== undefined) return relation
    }
    return undefined
  }

  const relation = (ref: RelationRef): KnownRelation | undefined => {
    const ours = ref.schema === undefined ? temporary.has(ref.name) : isTemporary(ref.schema) && temporary.has(ref.name)
    if (current && ours) {
      const named = { schema: 'pg_temp', name: ref.name }
      return temporary.get(ref.name) === true ? { ...named, kind: 'temporary', reads: [named] } : { ...named, kind: 'view', reads: undefined }
    }
    const found = find(ref)
    return found === undefined ? undefined : known(catalog(), found)
  }

  const homesOf = (refs: readonly ForeignRef[], of: (schema: string, name: string) => unknown, changed: (name: string) => boolean): readonly string[] =>
    refs.flatMap(({ schema: own, name }) => {
      if (own !== undefined) return []
      const schemas = path.filter((schema) => !isTemporary(schema) && of(schema, name) !== undefined)
      if (changed(name)) schemas.push('changed here')
      return schemas.every((schema) => schema === 'pg_catalog') ? [] : [`${name}: ${schemas.join()}`]
    })

  return {
    homes: ({ functions, types, operators }) => {
      const known = catalog()
      return [...homesOf(functions, known.function.bind(known), (name) => changes.functions.has(name)), ...homesOf(types, known.type.bind(known), () => changes.types), ...homesOf(operators, known.operator.bind(known), (name) => changes.operators.has(name))]
    },
    get catalog() {
      return catalog()
    },
    get current() {
      return current
    },
    get path() {
      return path
    },
    get creates() {
      return current ? creates : undefined
    },
    doubt: () => {
      current = false
      doubts++
      own = []
      asked.clear()
    },
    learn: (ask, refs) => {
      const open = refs.filter((ref) => ref.created === undefined && !asked.has(key(ref)))
      if (open.length === 0) return undefined
      const doubt = doubts
      if (asked.size + open.length > MOST_ASKED) return void (current = false)
      return findNow(ask, open).then((found) => {
        if (doubt !== doubts) return
        for (const [at, ref] of open.entries()) asked.set(key(ref), found[at]?.oid)
        // One that others know by another name is not of this transaction.
        const made = found.flatMap((one) => (one?.table === undefined || shared().byOid(one.oid) !== undefined ? [] : [one.table]))
        if (made.length > 0) own = [...own, ...made]
      })
    },
    refresh: async (ask) => {
      const doubt = doubts
      const [first, ...schemas] = (await ask(PATH)).map(([schema]) => schema ?? '')
      const names = schemas.some(isTemporary) ? await ask(TEMPORARY) : []
      if (names.length > MOST_TEMPORARY) throw new Error(`the session has more than ${MOST_TEMPORARY} temporary tables`)
      changes = await findOwnChanges(ask)
      path = schemas
      creates = first === '' ? undefined : first
      temporary = new Map(names.map(([name, plain]) => [name ?? '', plain === 't']))
      // Something was forwarded meanwhile: what was learnt may be old.
      current = doubt === doubts
    },
    find,
    relation,
    function: (ref: FunctionRef) => (changes.functions.has(ref.name) ? 'volatile' : gravest(ref, (schema) => (ref.harmless && schema === 'pg_catalog' ? 'pure' : catalog().function(schema, ref.name)))),
    attribute: (name: string) => (changes.functions.has(name) ? 'volatile' : catalog().attribute(name)),
    type: (ref: ForeignRef) => (changes.types ? 'volatile' : gravest(ref, (schema) => catalog().type(schema, ref.name))),
    operator: (ref: ForeignRef) => (changes.operators.has(ref.name) ? 'volatile' : gravest(ref, (schema) => catalog().operator(schema, ref.name))),
    prepared,
    cursor,
  }
}

const key = ({ schema, name }: { readonly schema?: string; readonly name: string }): string => JSON.stringify([schema, name])

/** Schemas of other sessions have such names too; nobody may name them. */
const isTemporary = (schema: string): boolean => schema === 'pg_temp' || /^pg_temp_\d+$/.test(schema)

/** By snapshot and number: sessions share them. */
const relations = new WeakMap<Catalog, Map<number, KnownRelation>>()

const known = (catalog: Catalog, relation: Relation): KnownRelation => {
  const cache = relations.get(catalog) ?? new Map<number, KnownRelation>()
  relations.set(catalog, cache)
  const { schema, name, oid, kind } = relation
  const cached = cache.get(oid)
  if (cached !== undefined) return cached
  const { tables, runs } = readsOf(catalog, relation)
  const made: KnownRelation = Object.freeze({ schema, name, oid, kind, reads: tables, runs })
  cache.set(oid, made)
  return made
}
