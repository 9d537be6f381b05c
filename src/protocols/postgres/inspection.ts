import type { Action, Impact } from '../../model/action.ts'
import type { Drift } from '../../model/decision.ts'
import { Refusal } from '../../model/refusal.ts'
import { defined } from '../../lib/defined.ts'
import type { Occasion } from './action.ts'
import { knownValues } from './action-text.ts'
import { type Counted, drifted, type Numbers } from './catalog/estimate.ts'
import type { Relation } from './catalog/catalog.ts'
import { resolveFunctions, resolvePlace, resolveRelations, spreads } from './catalog/resolve.ts'
import type { SessionNames } from './catalog/session-names.ts'
import type { Dialogue, Rows } from './dialogue.ts'
import type { EstimateQuestion } from './estimates.ts'
import type { Bound } from './namespace.ts'
import { READING } from './settings.ts'
import type { SqlPattern } from './sql/pattern.ts'
import type { StatementReading } from './sql/reading.ts'
import type { TransactionState } from './state.ts'

export interface InspectionParts {
  readonly dialogue: Dialogue
  readonly names: SessionNames
  readonly role: string
  readonly estimate: (statements: readonly StatementReading[], question: EstimateQuestion) => Promise<readonly Numbers[]>
  readonly pattern: (text: string) => SqlPattern | undefined
  readonly outline: (text: string) => string | undefined
  /** Learns anew what names mean. */
  readonly renew: () => Promise<void>
  readonly transaction: () => TransactionState
  /** Whether the settings that the server has reported are those of now, once all is answered. */
  readonly knowsSettings: () => boolean
}

/** What is looked into. */
export interface Inspected {
  readonly statements: readonly StatementReading[]
  readonly bound?: Bound | undefined
  readonly types?: readonly number[] | undefined
  /** Its statements are run one by one. */
  readonly isPlan?: true
  /** The action, made anew of what names mean now. */
  make(occasion: Partial<Occasion>): Action
}

const askMs = 5_000
const mostTables = 1_000

/** A word with letters of several alphabets: some of them look the same. */
const MIXED = /\p{Script=Latin}[\p{Script=Cyrillic}\p{Script=Greek}]|[\p{Script=Cyrillic}\p{Script=Greek}]\p{Script=Latin}/u
const MIXED_NOTE = 'A word in it mixes alphabets: what looks like one letter may be another.'

const PLAN_NOTE = 'A plan: its statements run one by one, in this order, in one transaction. Anything else, or less, and nothing of it is kept. Rows are as things stood before all of it.'

/** Whose rights count, and settings that values are written by and that the server does not report. */
const SESSION = `SELECT CURRENT_USER, pg_catalog.current_setting('bytea_output'), pg_catalog.current_setting('extra_float_digits')`

/** What an approver gets to know beyond the statement, and what the approval is bound to beyond its text. */
export class Inspection {
  readonly #parts: InspectionParts
  #place: Awaited<ReturnType<typeof resolvePlace>> | undefined

  constructor(parts: InspectionParts) {
    this.#parts = parts
  }

  readonly #ask = (sql: string): Promise<Rows> =>
    this.#parts.dialogue.ask(sql, askMs).catch((cause: unknown) => {
      throw new Refusal('upstream-unavailable', 'NOT EXECUTED. The database did not say in time what the names in the statement stand for.', { cause })
    })

  /** For rules that look at how many rows there would be. */
  async estimated(what: Inspected): Promise<Action> {
    await this.#parts.dialogue.settled()
    const { estimatedRows } = total(what, what.make({}), await this.#numbers(what))
    return what.make(estimatedRows === undefined ? {} : { estimatedRows })
  }

  /** `locksMs`: for how long it may wait while its transaction keeps locks. */
  async inspect(what: Inspected, locksMs: number): Promise<Action> {
    const resolved = await this.#resolved(what)
    const each = await this.#numbers(what)
    const numbers = total(what, what.make({}), each)
    const { estimatedRows } = numbers
    const action = what.make({ resolved, ...(estimatedRows === undefined ? {} : { estimatedRows }) })
    const pattern = await this.#pattern(what, numbers, resolved)
    const impacts = what.statements.length > 1 ? impactsOf(what, action, each) : undefined
    const notes = [...(what.isPlan === true ? [PLAN_NOTE] : []), ...numbers.notes, ...this.#datesIn(what), ...(MIXED.test(action.text) ? [MIXED_NOTE] : [])]
    return what.make({ resolved, ...(estimatedRows === undefined ? {} : { estimatedRows }), ...(pattern === undefined ? {} : { pattern }), ...(impacts === undefined ? {} : { impacts }), outline: this.#parts.outline, impact: this.#impact(action, notes, numbers, locksMs) })
  }

  /**
   * Others of its kind are bounded by how many rows are counted. A statement whose names could not be asked about, or that a rule or a foreign key
   * carries on to other rows, has no others of its kind. Triggers are told to the approvers, and what they do is part of what names lead to.
   */
  async #pattern({ statements: [statement, ...more] }: Inspected, { exactRows }: Numbers, resolved: readonly unknown[]): Promise<SqlPattern | undefined> {
    const { names, pattern } = this.#parts
    if (statement === undefined || more.length > 0 || exactRows === undefined || resolved.length < 2 || !this.#parts.dialogue.mayAsk) return undefined
    const written = statement.relations.filter(({ access }) => access === 'write').map((ref) => names.find(ref))
    const oids = new Set<number>()
    for (const relation of written) if (relation === undefined || !addAll(relation, oids, (oid) => names.catalog.byOid(oid))) return undefined
    const found = pattern(statement.text)
    return found === undefined || (await spreads(this.#ask, [...oids], statement.kinds.includes('delete') ? 'delete' : 'update')) ? undefined : found
  }

  /** Throws where a name stands for something else than when it was approved. */
  async compare(what: Inspected, action: Action): Promise<void> {
    const resolved = await this.#resolved(what)
    if (what.make({ resolved }).digest !== action.digest) throw new Refusal('hold-changed', 'NOT EXECUTED. A name in the statement stands for something else than when it was approved. Send it again to ask anew.')
  }

  /** What each of its statements would do now, beside what the approvers were shown. */
  async counted(what: Inspected, shown: Shown): Promise<readonly Counted[]> {
    const now = await this.#numbers(what)
    const action = what.make({})
    return what.statements.map((_, at) => ({ then: impactAt(what, shown, at), now: now[at] ?? { notes: [] }, changes: changesRows(verbsAt(what, action, at)) }))
  }

  /** Throws where nobody can say how the session reads dates and times. */
  get #settings(): Readonly<Record<string, string>> {
    const { dialogue, knowsSettings } = this.#parts
    if (!knowsSettings()) throw new Refusal('denied', 'NOT EXECUTED. A statement before it in the same batch may have changed how dates and times are read.', { instead: 'End the batch with Sync before this statement.' })
    return Object.fromEntries(READING.map((name) => [name, dialogue.settings.get(name) ?? '']))
  }

  async #numbers({ statements, bound, types }: Inspected): Promise<readonly Numbers[]> {
    const { names, role, estimate } = this.#parts
    return await estimate(statements, { role, names, settings: this.#settings, parameters: bound === undefined ? [] : knownValues(bound, types ?? []), types: types ?? [] })
  }

  /** How the statement is read, and what its names lead to. Where nothing can be asked at the moment the catalog's last state counts. */
  async #resolved({ statements }: Inspected): Promise<readonly unknown[]> {
    const { dialogue, names, renew } = this.#parts
    const settings = this.#settings
    if (!dialogue.mayAsk) return [settings]
    names.doubt()
    await renew()
    const all = statements.flatMap((statement) => [statement, ...bodyOf(statement, names)])
    const relations = await resolveRelations(this.#ask, all.flatMap((statement) => statement.relations))
    const functions = all.flatMap((statement) => statement.functions).filter((ref) => names.function(ref) !== 'pure')
    // What a connection leads to stays the same for as long as it lives.
    this.#place ??= await resolvePlace(this.#ask)
    return [settings, ...(await this.#ask(SESSION)), this.#place, ...relations.map((one) => one ?? null), ...(await resolveFunctions(this.#ask, functions, names.path))]
  }

  /** `01/02/2024` is a day of January or of February. */
  #datesIn({ statements, bound, types }: Inspected): readonly string[] {
    const { DateStyle, TimeZone } = this.#settings
    const texts = [...statements.flatMap((statement) => [statement, ...bodyOf(statement, this.#parts.names)]).flatMap(({ literals = [] }) => literals), ...(bound === undefined ? [] : knownValues(bound, types ?? []))]
    return texts.some((text) => typeof text === 'string' && /\d[-./:]\d/.test(text)) ? [`Dates and times in it are read with DateStyle ${DateStyle} and TimeZone ${TimeZone}.`] : []
  }

  #impact(action: Action, notes: readonly string[], numbers: Numbers, locksMs: number): Impact {
    const keepsLocks = this.#parts.transaction() === 'written'
    const facts = action.facts['sql'] as { readonly filtered?: boolean; readonly notes?: readonly string[] }
    return {
      ...numbers,
      ...(keepsLocks ? { keepsLocks } : {}),
      ...(facts.filtered === undefined ? {} : { unfiltered: !facts.filtered }),
      notes: [...(facts.notes ?? []), ...(action.verbs.includes('sql.copy.in') ? ['The rows that it writes are sent after the approval: nobody has seen them.'] : []), ...(keepsLocks ? [`Its transaction has changed something before this: others wait for its locks, and it waits for ${Math.ceil(locksMs / 1_000)} s at most.`] : []), ...notes],
    }
  }
}

type Shown = Pick<Action, 'impact' | 'parts'>

/** Throws where the rows have become more than the rule lets them since the approvers looked, or nobody can say. */
export const refuseDrift = (counted: readonly Counted[], drift: Drift): void => {
  if (drifted(counted, drift)) throw new Refusal('hold-changed', 'NOT EXECUTED. It would now touch more rows than the approvers were shown, or nobody can say how many. Send it again to ask anew.')
}

/** Throws where a rule wants to know that the rows are no more than were shown, and there is nothing to show. */
export const refuseUncounted = (what: Inspected, shown: Action): void => {
  const at = what.statements.findIndex((_, each) => changesRows(verbsAt(what, shown, each)) && !hasNumber(impactAt(what, shown, each)))
  if (at < 0) return
  const why = impactAt(what, shown, at)?.notes[0]
  throw new Refusal('denied', `NOT EXECUTED. The rule that holds this watches how many rows it changes (drift), and nobody can say that${what.statements.length === 1 ? '' : ` of statement ${at + 1}`}${why === undefined ? '.' : `: ${why}`}`, { instead: 'Send what can be counted: a plain UPDATE, DELETE or INSERT, without PREPARE around it.' })
}

const hasNumber = (impact: Impact | undefined): boolean => impact?.exactRows !== undefined || impact?.estimatedRows !== undefined

const verbsAt = ({ statements }: Inspected, { verbs, parts }: Action, at: number): readonly string[] => (statements.length === 1 ? verbs : (parts?.[at]?.verbs ?? verbs))

const impactAt = ({ statements }: Inspected, { impact, parts }: Shown, at: number): Impact | undefined => (statements.length === 1 ? impact : parts?.[at]?.impact)

/** Kinds that change no rows that somebody could count beforehand. */
const rowless: ReadonlySet<string> = new Set(['sql.select', 'sql.explain', 'sql.transaction', 'sql.set', 'sql.session', 'sql.copy.out', 'sql.ddl', 'sql.grant', 'sql.listen', 'sql.lock'])

const changesRows = (verbs: readonly string[]): boolean => verbs.some((verb) => !rowless.has(verb))

/** Sums, where there is a number for each: estimates of all that has any, counts of what changes rows. */
const total = (what: Inspected, action: Action, each: readonly Numbers[]): Numbers => {
  const about = each.filter((_, at) => what.statements[at]?.control === undefined)
  const changing = each.filter((_, at) => changesRows(verbsAt(what, action, at)))
  const sum = (of: readonly Numbers[], kind: 'estimatedRows' | 'exactRows'): number | undefined => {
    const numbers = of.flatMap((one) => one[kind] ?? [])
    return numbers.length > 0 && numbers.length === of.length ? numbers.reduce((a, b) => a + b, 0) : undefined
  }
  return { ...defined({ estimatedRows: sum(about, 'estimatedRows'), exactRows: sum(changing, 'exactRows') }), notes: [...new Set(each.flatMap(({ notes }) => notes))] }
}

const impactsOf = ({ statements }: Inspected, { parts = [] }: Action, each: readonly Numbers[]): readonly (Impact | undefined)[] =>
  statements.map(({ control }, at) => {
    const { filtered } = (parts[at]?.facts['sql'] ?? {}) as { readonly filtered?: boolean }
    const { notes = [], ...numbers } = each[at] ?? {}
    return control === undefined ? { ...numbers, ...(filtered === undefined ? {} : { unfiltered: !filtered }), notes } : undefined
  })

/** The relation and what inherits from it. False: something of it is not known, is no table, or does more than what it is told. */
const addAll = (relation: Relation, oids: Set<number>, byOid: (oid: number) => Relation | undefined): boolean => {
  if (relation.kind !== 'table' || relation.rules || oids.size > mostTables) return false
  oids.add(relation.oid)
  return relation.children.every((oid) => {
    const child = byOid(oid)
    return oids.has(oid) || (child !== undefined && addAll(child, oids, byOid))
  })
}

const bodyOf = ({ control }: StatementReading, names: SessionNames): readonly StatementReading[] => {
  const body = control?.does === 'execute' ? names.prepared(control.name) : control?.does === 'fetch' ? names.cursor(control.name ?? '') : undefined
  return body === undefined ? [] : [body]
}
