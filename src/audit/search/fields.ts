import { isObject, list, part, type RecordData } from '../record-data.ts'
import { deedAt, votersAt, type Deed } from '../lineage/deed.ts'
import type { LineageNode } from '../lineage/node.ts'

/** What a record is found by, beside its words. */
export const searchFields = ['who', 'for', 'what', 'service', 'on', 'tag', 'rule', 'approver', 'case', 'type', 'outcome'] as const

export type SearchField = (typeof searchFields)[number]

export const isSearchField = (name: string): name is SearchField => (searchFields as readonly string[]).includes(name)

export type Findable = Readonly<Record<SearchField | 'words', readonly string[]>>

/** What the records of one action have in common. Those that come later do not say it again, and are found by it all the same. */
export interface CaseContext {
  readonly who: readonly string[]
  readonly for: readonly string[]
  readonly what: readonly string[]
  readonly service: readonly string[]
  readonly on: readonly string[]
  readonly tag: readonly string[]
  readonly rule: readonly string[]
  readonly approver: readonly string[]
  /** Tries, holds and codes that name the same. */
  readonly case: readonly string[]
  /** What was asked, for the map. */
  readonly deed?: Deed | undefined
  readonly voters?: readonly LineageNode[]
}

const text = (into: string[], ...values: readonly unknown[]): void => {
  for (const value of values) if (typeof value === 'string' && value !== '') into.push(value)
}

const party = (into: string[], value: unknown): void => {
  const { issuer, subject, name, email, clientId } = part(value)
  text(into, subject, name, email, clientId === subject ? undefined : clientId, issuer)
}

/** Every text below a value. Keys are ours; only values are found. */
const everyText = (into: string[], value: unknown): void => {
  if (typeof value === 'string') text(into, value)
  else if (Array.isArray(value)) for (const one of value) everyText(into, one)
  else if (isObject(value)) for (const key in value) everyText(into, value[key])
}

/** Told by a field of their own, or by none: hashes, signatures, numbers, and what a passkey signed. */
const elsewhere = new Set(['v', 'id', 'seq', 'prev', 'time', 'type', 'attempt', 'hold', 'grant', 'approval', 'export', 'code', 'digest', 'signed', 'decision', 'caller', 'action', 'vote', 'votes', 'by', 'outcome', 'state', 'refusal', 'end', 'terms', 'reasons', 'cut', 'pattern', 'policyVersion', 'heldUnder', 'previous', 'service', 'passkey'])

const isCode = (value: unknown): boolean => typeof value === 'string' && value.startsWith('CS-')

/**
 * What a record is found by: only what stands in it, and what the records of the same action said before.
 * `known`: that of the action so far.
 */
export const findableOf = (record: RecordData, known: CaseContext | undefined): Findable => {
  const made = { who: [] as string[], for: [] as string[], what: [] as string[], service: [] as string[], on: [] as string[], tag: [] as string[], rule: [] as string[], approver: [...(known?.approver ?? [])], case: [...(known?.case ?? [])], type: [] as string[], outcome: [] as string[], words: [] as string[] }
  const { caller, action, decision, vote, by, outcome } = record
  text(made.type, record['type'])
  text(made.case, record['attempt'], record['hold'], record['grant'], record['approval'], record['export'], record['digest'], isCode(record['code']) ? record['code'] : undefined, record['policyVersion'], part(decision)['policyVersion'])

  if (isObject(caller)) {
    party(made.who, caller)
    for (const one of list(caller['onBehalfOf'])) party(made.for, one)
    text(made.words, caller['address'], caller['session'])
    everyText(made.words, caller['groups'])
    party(made.words, caller['owner'])
  } else if (known !== undefined) {
    made.who.push(...known.who)
    made.for.push(...known.for)
  }
  if (isObject(action)) {
    text(made.what, action['verb'], action['shape'])
    if (Array.isArray(action['verbs'])) everyText(made.what, action['verbs'])
    text(made.service, action['service'])
    for (const one of list(action['resources'])) text(made.on, part(one)['name'])
    everyText(made.tag, action['tags'])
    everyText(made.words, action['place'])
    text(made.case, action['digest'])
  } else if (known !== undefined) {
    made.what.push(...known.what)
    made.service.push(...known.service)
    made.on.push(...known.on)
    made.tag.push(...known.tag)
  }
  text(made.service, record['service'])
  text(made.what, record['pattern'])
  ruled(made, decision, record['terms'])
  if (made.rule.length === 0 && known !== undefined) made.rule.push(...known.rule)

  if (isObject(vote)) voted(made, vote)
  for (const one of list(record['votes'])) voted(made, part(one))
  if (isObject(by)) {
    party(made.who, by)
    // Of those who were refused it is said who they are, and never that they approved.
    if (record['type'] === 'break-glass-reviewed') party(made.approver, by)
  }
  text(made.outcome, part(outcome)['result'], part(outcome)['status'], part(decision)['verdict'], part(vote)['verdict'], record['state'], record['refusal'], record['end'], isCode(record['code']) ? undefined : record['code'])
  text(made.words, part(outcome)['cause'], part(record['passkey'])['name'])
  for (const key in record) if (!elsewhere.has(key)) everyText(made.words, record[key])
  return unrepeated(made)
}

const ruled = (made: { readonly rule: string[]; readonly words: string[]; readonly outcome: string[] }, decision: unknown, terms: unknown): void => {
  const { matched, terms: own } = part(decision)
  for (const one of list(matched)) {
    const { policy, rule, because, instead } = part(one)
    text(made.rule, `${String(policy)}/${String(rule)}`)
    text(made.words, because, instead)
  }
  if (made.rule.length > 0) return
  for (const one of list(part(terms ?? own)['requirements'])) text(made.rule, `${String(part(one)['policy'])}/${String(part(one)['rule'])}`)
}

const voted = (made: { readonly who: string[]; readonly approver: string[]; readonly words: string[] }, vote: RecordData): void => {
  party(made.who, vote['by'])
  party(made.approver, vote['by'])
  text(made.words, vote['reason'], vote['channel'], vote['assurance'])
}

const unrepeated = (made: Record<SearchField | 'words', string[]>): Findable => {
  for (const key in made) {
    const values = made[key as SearchField]
    if (values.length > 1) made[key as SearchField] = [...new Set(values)]
  }
  return made
}

/** Repeats that wait for one hold have names of their own; of more than so many the later ones are found by the hold alone. */
const mostNames = 40

/** What the next record of the same action is found by. Who asked is said by the first of them. */
export const contextOf = (record: RecordData, found: Findable, known: CaseContext | undefined): CaseContext => {
  const voters = votersAt(record, known?.voters ?? nobody)
  return { deed: deedAt(record, known?.deed, voters), voters, who: known?.who ?? found.who, for: found.for, what: found.what, service: found.service, on: found.on, tag: found.tag, rule: found.rule, approver: found.approver, case: found.case.slice(0, mostNames) }
}
const nobody: readonly LineageNode[] = []
