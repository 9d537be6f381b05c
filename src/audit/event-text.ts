import { hash } from 'node:crypto'
import { printable } from '../lib/printable.ts'
import type { Place, Resource } from '../model/action.ts'
import type { ActionRecord, AuditEvent, CallerRecord, DecisionRecord, PasskeyRecord } from '../model/audit-event.ts'
import type { Party, Principal } from '../model/caller.ts'
import type { Circle, GrantBounds, MatchedRule } from '../model/decision.ts'
import type { PasskeyEvidence, Vote } from '../model/hold.ts'
import type { Outcome } from '../model/outcome.ts'
import { freeText } from './free-text.ts'

type Member = AuditEvent extends infer E ? (E extends unknown ? keyof E : never) : never
type ValueOf<K extends Member, E = AuditEvent> = E extends unknown ? (K extends keyof E ? Exclude<E[K], undefined> : never) : never

/** The longest event that is written whole. A line with its head stays below 60 KiB, which the log formats built over it can hold. */
export const longestEvent = 60 * 1024 - 512

/**
 * The members of an event as JSON text, `"type":…}`, without the opening brace: the head of the line comes before it.
 * Written by schema: a member that the types do not know is left out, so nothing enters the log because it happened to be there.
 * `head`: ASCII without DEL that is put in front. The text is printable ASCII. Every other character is spelled `\uXXXX`: one event is one line on any terminal, and decodes to what was given.
 */
export const eventText = (event: AuditEvent, head = ''): string => {
  const text = printable(head + members(event))
  return text.length - head.length <= longestEvent ? text : head + shortened(event, text.slice(head.length))
}

const members = (event: AuditEvent, cut = ''): string => {
  let text = `"type":"${event.type}"`
  if ('attempt' in event) text += `,"attempt":${quoted(event.attempt)}`
  for (const key in event) {
    const write = writers.get(key)
    const value = (event as unknown as Record<string, unknown>)[key]
    if (write !== undefined && value !== undefined) text += `,"${key}":${write(value)}`
  }
  return `${text}${cut}}`
}

const quoted = (value: string): string => JSON.stringify(value)

/** For words of which there are few (verbs, services, shapes, versions): their quoted form is kept. */
const word = (value: string): string => {
  const known = words.get(value)
  if (known !== undefined) return known
  if (words.size >= 1_000) words.clear()
  const text = JSON.stringify(value)
  if (value.length <= 200) words.set(value, text)
  return text
}
const words = new Map<string, string>()

const plain = (value: unknown): string => JSON.stringify(value) ?? 'null'
const list = <T>(values: readonly T[], write: (value: T) => string): string => {
  if (values.length === 0) return '[]'
  let text = ''
  for (const value of values) text += text === '' ? write(value) : `,${write(value)}`
  return `[${text}]`
}
const free = (value: string): string => JSON.stringify(freeText(value))

const partyKeys = ['issuer', 'subject', 'kind', 'groups', 'email', 'name', 'clientId', 'owner']
const callerKeys = [...partyKeys, 'session', 'address', 'onBehalfOf']
const party = (value: Party | Principal): string => JSON.stringify(value, partyKeys)

const action = (value: ActionRecord): string =>
  `{"protocol":${word(value.protocol)},"service":${word(value.service)}${value.place === undefined ? '' : `,"place":${place(value.place)}`},"verb":${word(value.verb)}${value.verbs === undefined ? '' : `,"verbs":${list(value.verbs, word)}`},"resources":${resources(value.resources)},"tags":${list(value.tags, word)},"digest":${quoted(value.digest)},"shape":${word(value.shape)}${value.impact === undefined ? '' : `,"impact":${JSON.stringify(value.impact, impactKeys)}`}${value.statements === undefined ? '' : `,"statements":${plain(value.statements)}`}}`

const impactKeys = ['estimatedRows', 'exactRows', 'unfiltered', 'keepsLocks']

const resource = ({ kind, name, access, tags }: Resource): string => `{"kind":${word(kind)},"name":${quoted(name)},"access":${word(access)},"tags":${list(tags, word)}}`

/** What is final is written once; what an action made for itself is as short-lived as it. */
const resourceTexts = new WeakMap<readonly Resource[], string>()
const resources = (value: readonly Resource[]): string => {
  const known = resourceTexts.get(value)
  if (known !== undefined) return known
  const text = list(value, resource)
  if (Object.isFrozen(value)) resourceTexts.set(value, text)
  return text
}

/** Callers and decisions come back: the model makes one record of each, and its text is made once as well. */
const once = <T extends object>(write: (value: T) => string): ((value: T) => string) => {
  const texts = new WeakMap<T, string>()
  return (value) => {
    const known = texts.get(value)
    if (known !== undefined) return known
    const text = write(value)
    texts.set(value, text)
    return text
  }
}

const matched = (rule: MatchedRule): string => JSON.stringify(rule, ['policy', 'rule', 'then', 'at', 'because', 'instead', 'observed'])

/** One a connection. */
const place = once(({ database, role }: Place): string => JSON.stringify({ database, role }))

const decision = once(({ verdict, matched: rules, policyVersion, terms }: DecisionRecord): string =>
  `{"verdict":${word(verdict)},"matched":${list(rules, matched)},"policyVersion":${word(policyVersion)}${terms === undefined ? '' : `,"terms":${plain(terms)}`}}`)

const caller = once((record: CallerRecord): string => JSON.stringify(record, callerKeys))

const outcome = (value: Outcome): string => {
  let text = `{"result":"${value.result}"`
  if (value.status !== undefined) text += `,"status":${quoted(value.status)}`
  if (value.rows !== undefined) text += `,"rows":${plain(value.rows)}`
  if (value.bytes !== undefined) text += `,"bytes":${plain(value.bytes)}`
  if (value.maskedValues !== undefined) text += `,"maskedValues":${plain(value.maskedValues)}`
  text += `,"ms":${plain(value.ms)}`
  if (value.cause !== undefined) text += `,"cause":${free(value.cause)}`
  return `${text}}`
}

const evidence = (value: PasskeyEvidence): string => JSON.stringify(value, ['statement', 'passkey', 'publicKey', 'clientData', 'authenticatorData', 'signature'])

const passkey = (value: PasskeyRecord): string => JSON.stringify(value, ['id', 'name', 'publicKey', 'synced'])

/** What was signed for it stands in the record of the vote itself, and not again where votes are counted. */
const votedOnce = (value: Vote): string => (value.evidence === undefined ? vote(value) : `${vote(value).slice(0, -1)},"evidence":${evidence(value.evidence)}}`)

const bounds = (value: GrantBounds): string => JSON.stringify(value, ['times', 'rows', 'withinMs'])

const vote = ({ verdict, by, channel, assurance, digest, reason, shown, loggedInAt, grant, brokeGlass, together, at }: Vote): string =>
  `{"verdict":${quoted(verdict)},"by":${party(by)},"channel":${quoted(channel)},"assurance":${quoted(assurance)},"digest":${quoted(digest)}${reason === undefined ? '' : `,"reason":${free(reason)}`}${shown === undefined ? '' : `,"shown":${quoted(shown)}`}${loggedInAt === undefined ? '' : `,"loggedInAt":${plain(loggedInAt)}`}${grant === undefined ? '' : `,"grant":${bounds(grant)}`}${brokeGlass === undefined ? '' : ',"brokeGlass":true'}${together === undefined ? '' : `,"together":${plain(together)}`},"at":${plain(at)}}`

const circle = ({ groups, users }: Circle): string => `{"groups":${list(groups, quoted)},"users":${list(users, party)}}`

const mostColumns = 100

const reasonKeys = ['evaluator', 'rules', 'policy', 'rule', 'then', 'at', 'matched', 'lines', 'missed', 'key', 'saw', 'reads', 'broke', 'more']

/** One writer a member, whichever event it stands in. A member added to the union breaks the build until somebody says here how it is written. */
const schema: { readonly [K in Exclude<Member, 'type' | 'attempt'>]: (value: ValueOf<K>) => string } = {
  caller,
  action,
  decision,
  reasons: (reasons) => JSON.stringify(reasons, reasonKeys),
  hold: quoted,
  grant: quoted,
  approval: quoted,
  bounds,
  pattern: free,
  rows: plain,
  end: quoted,
  lease: quoted,
  outcome,
  digest: quoted,
  code: quoted,
  refusal: quoted,
  cause: free,
  deadline: plain,
  terms: plain,
  vote: votedOnce,
  votes: (votes) => list(votes, vote),
  state: quoted,
  by: party,
  to: circle,
  skipped: circle,
  successor: (successor) => ('group' in successor ? JSON.stringify(successor, ['group']) : party(successor)),
  note: free,
  advisor: quoted,
  opinion: free,
  account: ({ chat, workspace, user }) => JSON.stringify({ chat, workspace, user }),
  from: quoted,
  policyVersion: quoted,
  heldUnder: quoted,
  unattended: plain,
  step: quoted,
  issuer: quoted,
  address: quoted,
  session: quoted,
  steppedUp: plain,
  passkey,
  generation: plain,
  previous: quoted,
  service: quoted,
  columns: (columns) => list(columns.slice(0, mostColumns), quoted),
  problems: (problems) => plain(problems.map(freeText)),
  version: quoted,
  signed: quoted,
  export: quoted,
  query: free,
  records: plain,
  mark: quoted,
  used: plain,
  record: quoted,
  fields: (fields) => list(fields, quoted),
  sink: quoted,
  count: plain,
}
const writers: ReadonlyMap<string, (value: unknown) => string> = new Map(Object.entries(schema) as [string, (value: unknown) => string][])

/** Cuts what is long until the line fits, and says so: which members, how long the whole was, and its digest. */
const shortened = (event: AuditEvent, whole: string): string => {
  for (const [characters, items] of [[1_000, 50], [200, 16], [60, 4], [20, 1]] as const) {
    const fields: string[] = []
    const short = cut(event, characters, items, '', fields) as AuditEvent
    const mark = `,"cut":${JSON.stringify({ fields: fields.slice(0, 32), bytes: whole.length, digest: `sha256:${hash('sha256', whole)}` })}`
    const text = printable(members(short, mark))
    if (text.length <= longestEvent) return text
  }
  throw new Error(`a ${event.type} event does not fit into a line`)
}

/** What an event is found by stays whole. */
const identifying = new Set(['attempt', 'hold', 'grant', 'approval', 'export', 'digest', 'kind', 'verdict'])

const cut = (value: unknown, characters: number, items: number, path: string, fields: string[]): unknown => {
  if (typeof value === 'string') {
    if (value.length <= characters) return value
    fields.push(path)
    return `${value.slice(0, characters)} [cut]`
  }
  if (Array.isArray(value)) {
    if (value.length > items) fields.push(path)
    return value.slice(0, items).map((item) => cut(item, characters, items, `${path}[]`, fields))
  }
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, identifying.has(key) ? member : cut(member, characters, items, path === '' ? key : `${path}.${key}`, fields)]))
}
