import { isObject, list, part, parts, type RecordData } from '../record-data.ts'
import { actionNode, dataNode, partyNode, sessionNode, type LineageNode } from './node.ts'

/**
 * `named`: the action names it, and nothing in it is known to reach further. `least`: this at least; it also writes (triggers, cascades), calls functions
 * or runs what nobody has read, and what that reaches is not seen here.
 */
export type Confidence = 'named' | 'least'

export interface Touch {
  readonly node: LineageNode
  readonly access: 'reads' | 'writes' | 'calls'
  readonly confidence: Confidence
  /** Of a table, where the columns are known one by one. */
  readonly columns: readonly string[]
}

/** What one record says was asked: by whom, for whom, in which session, and what it touches. */
export interface Deed {
  readonly who: LineageNode
  /** On behalf of whom, nearest first. */
  readonly chain: readonly LineageNode[]
  readonly session: LineageNode | undefined
  readonly action: LineageNode
  readonly touches: readonly Touch[]
  /** Who has voted on it so far: what runs with somebody's yes is told from what runs without. */
  readonly by: readonly LineageNode[]
}

export const outcomes = ['ran', 'executed', 'failed', 'unknown', 'held', 'refused'] as const
export type Tally = (typeof outcomes)[number]

/** `alone`: by breaking the glass. `grant`: beforehand, with a grant. */
export type Say = 'yes' | 'no' | 'alone' | 'grant'

/** What one record adds to a deed. */
export interface Step {
  readonly tallies: readonly Tally[]
  readonly says: readonly { readonly by: LineageNode; readonly say: Say }[]
}

const mostTouched = 60
const mostColumns = 60
const mostChained = 8

const text = (value: unknown): string => (typeof value === 'string' ? value : '')

/** `undefined` for records that name no caller or no action: they belong to the deed that an earlier one told of. */
export const deedOf = (record: RecordData): Deed | undefined => {
  const { caller, action } = record
  if (!isObject(caller) || !isObject(action)) return undefined
  const who = partyNode(caller)
  if (who === undefined) return undefined
  const touches = touchesOf(action)
  const verbs = verbsOf(action)
  const first = touches.find(({ access }) => access === 'writes') ?? touches[0]
  return {
    who,
    chain: parts(caller['onBehalfOf']).slice(0, mostChained).flatMap((one) => partyNode(one) ?? []),
    session: sessionNode(caller),
    action: actionNode(text(action['service']), verbs, touches.map(({ node, access }) => `${access} ${node.id}`), first?.node.name ?? ''),
    touches,
    by: [],
  }
}

const mostVoters = 20

/** Everybody who has voted by then. The release names them again: wherever it is read, the votes behind it need not have been. */
export const votersAt = (record: RecordData, known: readonly LineageNode[]): readonly LineageNode[] => {
  const says = record['type'] === 'released' ? saidBy(parts(record['votes']), undefined).says : stepOf(record).says
  return says.length === 0 ? known : [...new Map([...known, ...says.map(({ by }) => by)].map((node) => [node.id, node])).values()].slice(0, mostVoters)
}

/** The deed behind a record. `known`: that of the action so far. */
export const deedAt = (record: RecordData, known: Deed | undefined, by: readonly LineageNode[]): Deed | undefined => {
  const deed = deedOf(record) ?? known
  return deed === undefined || deed.by === by || by.length === 0 ? deed : { ...deed, by }
}

const verbsOf = (action: RecordData): readonly string[] => (Array.isArray(action['verbs']) ? list(action['verbs']).map(text) : [text(action['verb'])])

const kinds: Readonly<Record<string, 'table' | 'function' | 'endpoint' | 'tool'>> = { table: 'table', function: 'function', path: 'endpoint', tool: 'tool' }

/** What is said to run code or change rows may reach what nobody named. */
const reachesFurther = (action: RecordData, resources: readonly RecordData[]): boolean =>
  /\.(?:call|do|unknown|server|ddl)\b/.test(verbsOf(action).join(' ')) ||
  resources.some(({ kind, name, access }) => (kind === 'table' && access === 'write') || (kind === 'function' && !isBuiltIn(text(name))))

/** What comes with the server reads and writes nothing that is not named beside it; a name without a schema that is one of the usual ones leads there first. */
const isBuiltIn = (name: string): boolean => name.startsWith('pg_catalog.') || usual.has(name)
const usual: ReadonlySet<string> = new Set('abs age array_agg avg bool_and bool_or ceil coalesce concat concat_ws count date_part date_trunc dense_rank extract first_value floor format generate_series greatest json_agg jsonb_agg json_build_object jsonb_build_object lag last_value lead least left length lower lpad ltrim max md5 min mod now nullif position rank replace right round row_number rtrim split_part string_agg strpos substr substring sum to_char to_date to_timestamp trim trunc unnest upper'.split(' '))

const touchesOf = (action: RecordData): readonly Touch[] => {
  const resources = parts(action['resources'])
  const place = [text(action['service']), ...[text(part(action['place'])['database'])].filter((database) => database !== '')]
  const confidence: Confidence = resources.length > mostTouched * 2 || reachesFurther(action, resources) ? 'least' : 'named'
  const columns = columnsByTable(resources)
  const touches: Touch[] = []
  for (const { kind, name, access } of resources) {
    const known = kinds[text(kind)]
    if (known === undefined || touches.length >= mostTouched || (known === 'function' && isBuiltIn(text(name)))) continue
    const shown = known === 'endpoint' ? endpointOf(action, text(name)) : text(name)
    touches.push({ node: dataNode(known, place, shown), access: known === 'function' ? 'calls' : access === 'write' ? 'writes' : 'reads', confidence, columns: columns.get(text(name)) ?? [] })
  }
  return touches
}

/** A column is shown only where it is named one by one: `public.customers.*` stands for those that are not known. */
const columnsByTable = (resources: readonly RecordData[]): ReadonlyMap<string, readonly string[]> => {
  const found = new Map<string, string[]>()
  for (const { kind, name } of resources) {
    const whole = text(name)
    const dot = whole.lastIndexOf('.')
    if (kind !== 'column' || dot < 1 || whole.includes('"')) continue
    const [table, column] = [whole.slice(0, dot), whole.slice(dot + 1)]
    const columns = found.get(table) ?? []
    if (columns.length < mostColumns) columns.push(column)
    found.set(table, columns)
  }
  return new Map([...found].filter(([, columns]) => !columns.includes('*')))
}

/** Requests that differ in ids only are one endpoint: the shape has a star where such a part stands. */
const endpointOf = (action: RecordData, path: string): string => {
  const prefix = `${text(action['service'])} ${text(action['verb'])} `
  const shape = text(action['shape'])
  return shape.startsWith(prefix) ? (/^[^ ?]+/.exec(shape.slice(prefix.length))?.[0] ?? path) : path
}

const nothing: Step = { tallies: [], says: [] }
const ends: Readonly<Record<string, Step>> = Object.fromEntries((['executed', 'failed', 'unknown'] as const).map((result) => [result, { tallies: [result], says: [] }]))
const steps: Readonly<Record<string, Step>> = { 'started': { tallies: ['ran'], says: [] }, 'held': { tallies: ['held'], says: [] }, 'outcome-unknown': { tallies: ['unknown'], says: [] }, 'refused': { tallies: ['refused'], says: [] } }
const denied: Step = { tallies: ['refused'], says: [] }

export const stepOf = (record: RecordData): Step => {
  const type = text(record['type'])
  if (type === 'finished') return ends[text(part(record['outcome'])['result'])] ?? nothing
  if (type === 'decided') return part(record['decision'])['verdict'] === 'deny' ? denied : nothing
  if (type === 'voted' || type === 'broke-glass') return saidBy([part(record['vote'])], type === 'voted' ? undefined : 'alone')
  if (type === 'grant-used') return saidBy(parts(record['votes']).filter(({ verdict }) => verdict === 'approve'), 'grant')
  return steps[type] ?? nothing
}

const saidBy = (votes: readonly RecordData[], say: Say | undefined): Step => ({
  tallies: [],
  says: votes.flatMap((vote) => {
    const by = partyNode(part(vote['by']))
    return by === undefined ? [] : [{ by, say: say ?? (vote['verdict'] === 'approve' ? 'yes' : 'no') }]
  }),
})
