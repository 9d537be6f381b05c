import { styleText } from 'node:util'
import { dottedSegments } from '../lib/dotted-name.ts'
import { terminalText } from '../lib/terminal-text.ts'
import { approversIn } from '../model/decision.ts'
import type { HoldDetail, ShownImpact } from './hold-answer.ts'
import type { Io } from './io.ts'
import { hasColour, quotedText, stateText, timeLeft } from './rendering.ts'

type Resource = HoldDetail['action']['resources'][number]
type Someone = { readonly subject: string; readonly name?: string | undefined; readonly email?: string | undefined }

const row = (name: string, text: string): string => `${name.padEnd(13)} ${text}\n`

const who = ({ subject, name, email }: Someone): string => terminalText([name, email && `<${email}>`, `(${subject})`].filter(Boolean).join(' '))

/** `public` says that a column is none of those that its table is tagged for: nothing to look out for. */
const tagText = (tags: readonly string[]): string => {
  const shown = tags.filter((tag) => tag !== 'public')
  return shown.length === 0 ? '' : ` [${shown.map(terminalText).join(', ')}]`
}

const mostResources = 20
const mostColumns = 30

const some = (items: readonly string[], most: number): string => [...items.slice(0, most), ...(items.length > most ? [`and ${items.length - most} more`] : [])].join(', ')

/** What it touches, what is changed first. Columns that are named stand behind their table; nobody says here which of them are changed. */
const resourceLines = (resources: readonly Resource[]): readonly string[] => {
  const columns = new Map<string, Resource[]>()
  for (const column of resources.filter(({ kind }) => kind === 'column')) {
    const table = dottedSegments(column.name).slice(0, -1).join('.')
    columns.set(table, [...(columns.get(table) ?? []), column])
  }
  const columnText = (table: string): string => {
    const named = (columns.get(table) ?? []).map(({ name, tags }) => `${terminalText(dottedSegments(name).at(-1) ?? name)}${tagText(tags)}`)
    columns.delete(table)
    return named.length === 0 ? '' : `, naming ${some(named, mostColumns)}`
  }
  const lines = resources
    .filter(({ kind }) => kind !== 'column')
    .toSorted((a, b) => Number(b.access === 'write') - Number(a.access === 'write'))
    .map(({ kind, name, access, tags }) => {
      if (kind === 'function') return row('Calls', terminalText(name))
      return row(access === 'write' ? 'Writes' : 'Reads', `${kind === 'table' ? '' : `${terminalText(kind)} `}${terminalText(name)}${tagText(tags)}${kind === 'table' ? columnText(name) : ''}`)
    })
  const loose = [...columns.keys()].map((table) => row('Columns', `${terminalText(table)}${columnText(table)}`))
  const all = [...lines, ...loose]
  return all.length > mostResources ? [...all.slice(0, mostResources), row('', `and ${all.length - mostResources} more`)] : all
}

const rowsText = ({ exactRows, estimatedRows }: ShownImpact): string => {
  if (exactRows === undefined) return estimatedRows === undefined ? 'nobody can say how many' : `about ${estimatedRows}, says the planner`
  return `${exactRows}, counted when it was asked for${estimatedRows === undefined ? '' : `; the planner said about ${estimatedRows}`}`
}

/** In a list: exact, about so many, and whether that is all there are. */
export const rowsCell = ({ exactRows, estimatedRows, unfiltered }: ShownImpact): string => {
  const count = exactRows === undefined ? (estimatedRows === undefined ? '' : `~${estimatedRows}`) : String(exactRows)
  return unfiltered === true ? `ALL ${count}`.trim() : count
}

const impactLines = ({ impact }: HoldDetail['action'], drift: HoldDetail['terms']['drift'], io: Io): readonly string[] => {
  const limits = drift && [drift.factor === undefined ? '' : `over ${drift.factor} times as many rows`, drift.rows === undefined ? '' : `over ${drift.rows} rows more`].filter(Boolean).join(', or ')
  const every = 'EVERY ROW: it has no WHERE that leaves anything out'
  return [
    ...(impact === undefined ? [] : [row('Rows', rowsText(impact))]),
    ...(impact?.unfiltered === undefined ? [] : [row('Which', impact.unfiltered ? (hasColour(io) ? styleText('red', every, { validateStream: false }) : every) : 'those that its WHERE lets through')]),
    ...(impact?.notes ?? []).map((note) => row('Note', terminalText(note))),
    ...(limits === undefined ? [] : [row('Stops', `if by then it would change ${limits}`)]),
  ]
}

/** Statements that run one by one, each with what it does. */
const planText = (parts: NonNullable<HoldDetail['action']['parts']>): string =>
  `\nWhat will run, in this order, one by one, all of it or nothing:\n${parts.map(({ verbs, resources, impact, text }, at) => {
    const tables = resources.filter(({ kind }) => kind === 'table').map(({ access, name }) => `${access === 'write' ? 'writes' : 'reads'} ${terminalText(name)}`)
    const rows = impact === undefined ? '' : rowsCell(impact)
    return `${at + 1}. ${[verbs.map(terminalText).join(', '), some(tables, mostResources), rows === '' ? '' : `${rows} ${rows === '1' ? 'row' : 'rows'}`].filter(Boolean).join('; ')}\n${quotedText(text)}`
  }).join('')}`

const clientText = (waiting: boolean): string => (waiting ? 'waits on its connection, and gets the answer' : 'has gone; once approved it runs when the same is asked again')

const tallyText = (tally: Readonly<Record<string, number>>): string => Object.entries(tally).toSorted(([, a], [, b]) => b - a).map(([state, count]) => `${count} ${terminalText(state)}`).join(', ')

const historyText = ({ alike, others, last, denied }: NonNullable<HoldDetail['history']>): string =>
  `${denied === undefined ? '' : `${who(denied.by)} said no to the same, ${terminalText(denied.code)}${denied.reason === undefined ? '' : `: ${terminalText(denied.reason)}`}; `}like this: ${tallyText(alike) || 'never'}${last === undefined ? '' : ` (the last ${terminalText(last.code)})`}; other: ${tallyText(others) || 'nothing'}`

const surenessText = ({ assurance, channels, freshLoginMs }: HoldDetail['terms']['requirements'][number]): string =>
  `${channels === undefined ? '' : `, through ${channels.map(terminalText).join(' or ')}`}${assurance === 'passkey' ? ', signed with a passkey' : ''}${freshLoginMs === undefined ? '' : `, signed in again at most ${Math.ceil(freshLoginMs / 60_000)} min before`}`

/** Whether a yes to this counts only where there are passkeys and fresh logins. */
export const isConsoleOnly = ({ terms }: HoldDetail): boolean => terms.requirements.every(({ assurance, freshLoginMs }) => assurance === 'passkey' || freshLoginMs !== undefined)

const escalationText = ({ openedAt }: HoldDetail, escalation: HoldDetail['terms']['requirements'][number]['escalation']): string =>
  escalation === undefined ? '' : ` (from ${new Date(Date.parse(openedAt) + escalation.afterMs).toISOString().slice(0, 16)}Z on also ${approversIn(escalation).map(terminalText).join(', ')})`

const markText = ({ what, by, to, reason, note, skipped }: HoldDetail['marks'][number]): string => {
  const said = reason ?? note
  const words = said === undefined ? '' : `: ${terminalText(said)}`
  const somebody = by === undefined ? 'somebody' : who(by)
  if (what === 'escalated') return 'escalated: others may decide, too'
  if (what === 'handed-over') return `${somebody} asks ${to?.group === undefined ? terminalText(to?.subject ?? '') : `the group ${terminalText(to.group)}`} to look${words}`
  if (what === 'broke-glass') return `${somebody} broke the glass, past ${approversIn(skipped ?? { groups: [], users: [] }).map(terminalText).join(', ')}${words}`
  if (what === 'granted') return 'more like it was let through'
  if (what === 'grant-ended') return 'the grant given with it has ended'
  if (what === 'reviewed') return `${somebody} has reviewed it${words}`
  return what === 'review-overdue' ? 'nobody has reviewed it in time' : terminalText(what)
}

const grantText = ({ times, rows, withinMs }: NonNullable<HoldDetail['grantable']>): string => `${times} more${rows === undefined ? '' : `, ${rows} rows together,`} within ${Math.floor(withinMs / 60_000)} minutes`

/** Everything there is to decide on, with the texts of strangers fenced off. */
export const holdText = (hold: HoldDetail, io: Io): string => {
  const { action, caller } = hold
  const wanted = hold.terms.requirements.map((requirement) => `${requirement.count} of ${approversIn(requirement).map(terminalText).join(', ')}${surenessText(requirement)}${escalationText(hold, requirement.escalation)}`).join('; and ')
  const open = hold.state === 'pending' || hold.state === 'approved'
  return [
    row('Hold', `${terminalText(hold.code)}  ${terminalText(hold.id)}  ${stateText(hold.state, io)}`),
    row('Action', `${(action.verbs ?? [action.verb]).map(terminalText).join(', ')} on ${terminalText(action.service)}${tagText(action.tags)}`),
    action.place === undefined ? '' : row('Database', `${terminalText(action.place.database)}, as ${terminalText(action.place.role)}`),
    ...resourceLines(action.resources),
    ...impactLines(action, hold.terms.drift, io),
    row('Asked by', `${terminalText(caller.kind)} ${who(caller)} at ${terminalText(caller.issuer)} from ${terminalText(caller.address)}${caller.owner === undefined ? '' : `, owned by ${terminalText(caller.owner.subject)}`}`),
    ...caller.onBehalfOf.map((other) => row('  for', `${terminalText(other.kind)} ${who(other)} at ${terminalText(other.issuer)}`)),
    hold.waiting === undefined || !open ? '' : row('Client', clientText(hold.waiting)),
    ...hold.matched.filter(({ verdict }) => verdict === 'hold').map(({ policy, rule, because }) => row('Rule', `${terminalText(policy)}/${terminalText(rule)}${because === undefined ? '' : `: ${terminalText(because)}`}`)),
    row('Needs', wanted),
    ...hold.votes.map(({ verdict, by, channel, reason, brokeGlass, together }) => row('Vote', `${brokeGlass ? 'released alone' : terminalText(verdict)} by ${who(by)} (${terminalText(channel)}${together === undefined || together < 2 ? '' : `, one of ${together} in one step`})${reason === undefined ? '' : `: ${terminalText(reason)}`}`)),
    ...hold.marks.map((mark) => row('Noted', `${terminalText(mark.at)}: ${markText(mark)}`)),
    hold.reviewBy === undefined ? '' : row('Review', `somebody else has to look at it by ${terminalText(hold.reviewBy)}`),
    hold.history === undefined ? '' : row('Before', historyText(hold.history)),
    row('Decide by', `${terminalText(hold.deadline)}${hold.state === 'pending' ? ` (${timeLeft(hold.deadline)} left)` : ''}`),
    hold.runBy === undefined ? '' : row('Run by', terminalText(hold.runBy)),
    hold.terms.irreversible === true ? row('Undo', 'the rule says that it cannot be undone') : '',
    hold.granted === undefined ? '' : row('Granted', `${hold.granted.times} more like it until ${terminalText(hold.granted.until)}, ${terminalText(hold.granted.ended ?? 'open')}: ${terminalText(hold.granted.id)}`),
    hold.outcome === undefined ? '' : row('Outcome', terminalText([hold.outcome.result, hold.outcome.status].filter(Boolean).join(' '))),
    row('Digest', terminalText(action.digest)),
    hold.statedReason === undefined ? '' : `\nThe requester says (nobody has checked it):\n${quotedText(hold.statedReason)}`,
    ...hold.opinions.map(({ advisor, text }) => `\nA machine's opinion (${terminalText(advisor)}), which counts for nothing:\n${quotedText(text)}`),
    action.parts === undefined ? `\nWhat will run:\n${quotedText(action.text)}` : planText(action.parts),
    hold.grantable === undefined || hold.state !== 'pending' ? '' : `\nWith a yes, up to ${grantText(hold.grantable)} can be let through of everything like this:\n${quotedText(hold.grantable.pattern)}`,
    action.textCut ? '\nThe text is cut: there is more to this action than is shown.\n' : '',
  ].join('')
}
