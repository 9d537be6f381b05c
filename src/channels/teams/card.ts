import { hash } from 'node:crypto'
import { leastAssurance, takesYes } from '../../approval/assurance.ts'
import type { Occasion } from '../../approval/channel.ts'
import { marksOf } from '../../approval/marks.ts'
import { plainView } from '../../lib/plain-view.ts'
import { cutAt, visibleRaw } from '../../lib/visible.ts'
import { approversIn, type Assurance } from '../../model/decision.ts'
import { isOpen, type Hold } from '../../model/hold.ts'
import { holdUrl, listUrl } from '../interest.ts'
import type { Payload } from '../options.ts'
import { shownAction } from '../shown-action.ts'
import { alikeText, endOf, headline, impactText, occasionText, opinionLabel, opinionRemark, planText, stateText, targetText, timeText, votesOf } from '../words.ts'

/*
 * Adaptive Cards 1.5. A `TextBlock` or a fact reads markdown, so there is none here: every text stands in a `TextRun`, which
 * does not. Nor is there a `CodeBlock`: it shows its first lines and a button for the rest, and does not wrap.
 */

type Part = Readonly<Record<string, unknown>>

export interface Card {
  readonly type: 'AdaptiveCard'
  readonly body: readonly Part[]
  readonly actions: readonly Part[]
  readonly [more: string]: unknown
}

/** Longest text that is seen whole in a chat, in characters and lines; a longer one is shown by its two ends. */
const whole = { characters: 3_000, lines: 40 }
const ends = { head: { characters: 1_500, lines: 15 }, tail: { characters: 600, lines: 8 } }
const longestWord = 200
/** A message with its card has to stay below this. */
const mostBytes = 24_000

/** Words of somebody else. What a renderer would replace (`{{DATE(…)}}`) is spelled out like all that misleads. */
const unread = (text: string): string => text.replaceAll('{{', '\\u{7b}{')
const view = (text: string): string => unread(plainView(visibleRaw(text)).text)
/** What has no blank does not wrap everywhere, and would go out of view on a phone. */
const broken = (text: string, mark: string): string => text.replaceAll(/\S{33,}/g, (run) => run.match(/.{1,32}/gu)?.join(mark) ?? run)
/** Folded like this: no text has a single backslash at the end of a line, for its own are doubled. */
const folded = (text: string): string => broken(text, '\\\n')
const word = (text: string): string => {
  const { text: kept, cut } = cutAt(view(text), longestWord)
  return broken(cut ? `${kept}…` : kept, '\u200b')
}

const run = (text: string, more: Part = {}): Part => ({ type: 'TextRun', text, ...more })
const line = (runs: readonly Part[], more: Part = {}): Part => ({ type: 'RichTextBlock', inlines: runs, ...more })
const fact = (label: string, text: string | undefined): readonly Part[] => (text === undefined || text === '' ? [] : [line([run(`${label}  `, { isSubtle: true }), run(text)], { spacing: 'Small' })])
const warning = (text: string): Part => line([run('⚠ ', { color: 'Warning' }), run(text, { weight: 'Bolder', color: 'Warning' })])

const styles: Partial<Record<Hold['state'], string>> = { pending: 'warning', approved: 'good', executed: 'good', denied: 'attention', failed: 'attention', unknown: 'attention' }
const signs: Readonly<Record<Hold['state'], string>> = { pending: '◔', approved: '✓', denied: '✕', expired: '⌛', withdrawn: '↩', running: '▸', executed: '✓', failed: '!', unknown: '?' }

const header = (hold: Hold, payload: Payload): Part => {
  const title = payload === 'none' ? 'Approval' : payload !== 'full' ? `${headline(hold)} on ${hold.action.service}` : `${headline(hold)} ${targetText(hold)}`
  return {
    type: 'Container',
    style: styles[hold.state] ?? 'default',
    bleed: true,
    items: [line([run(`${signs[hold.state]} ${stateText(hold.state)}`, { weight: 'Bolder' }), run(`  ${hold.code}`, { fontType: 'Monospace' })]), line([run(word(title), { size: 'Large', weight: 'Bolder' })], { spacing: 'Small' })],
  }
}

const who = ({ name, subject }: { readonly name?: string; readonly subject: string }): string => word(name === undefined || name === subject ? subject : `${name} (${subject})`)

const outcomeText = ({ outcome }: Hold): string | undefined =>
  outcome && [outcome.result === 'unknown' ? 'nobody can say whether it had an effect' : outcome.result, outcome.status, outcome.rows === undefined ? undefined : `${outcome.rows} rows`, `${Math.round(outcome.ms)} ms`].filter((part) => part !== undefined).map(word).join(', ')

const mostResources = 12
const mostOpinions = 3

/** Tables, paths and functions, those that are changed first. */
const touched = ({ action: { resources, place } }: Hold, payload: Payload): readonly Part[] => {
  const named = resources.filter(({ kind }) => kind !== 'column' && !(payload === 'outline' && kind === 'path')).toSorted((a, b) => Number(b.access === 'write') - Number(a.access === 'write'))
  return [
    ...fact('Database', place && `${word(place.database)}, as ${word(place.role)}`),
    ...named.slice(0, mostResources).flatMap(({ kind, access, name, tags }) => fact(kind === 'function' ? 'Calls' : access === 'write' ? 'Writes' : 'Reads', `${word(name)}${tags.length > 0 ? ` (${word(tags.join(', '))})` : ''}`)),
    ...fact('Touches', named.length > mostResources ? `${named.length - mostResources} more` : undefined),
  ]
}

const facts = (hold: Hold): readonly Part[] => {
  const { action, caller, terms } = hold
  const rules = hold.matched.filter(({ then, observed }) => then === 'hold' && !observed)
  const { given, needed } = votesOf(hold)
  return [
    ...fact('Asked by', `${caller.kind} ${who(caller)}`),
    ...fact('for', caller.onBehalfOf.map(who).join(', for ')),
    ...fact('Service', word(action.service)),
    ...fact('Data', word(action.tags.join(', '))),
    ...fact('Plan', planText(action)),
    ...fact('Rows', impactText(action.impact)),
    ...rules.slice(0, 5).flatMap(({ policy, rule, because }) => fact('Rule', `${word(`${policy}/${rule}`)}${because === undefined ? '' : `: ${word(because)}`}`)),
    ...fact('Needs', terms.requirements.map((requirement) => `${requirement.count} of ${word(approversIn(requirement).join(', '))}`).join(', and ')),
    ...fact('Votes', `${given} of ${needed}`),
    ...hold.votes.slice(0, 20).flatMap(({ verdict, by, channel }) => fact(verdict === 'approve' ? 'Yes' : 'No', `${who(by)}, ${channel === 'automation' ? 'decided by an automation' : `by ${channel}`}`)),
    ...fact('Result', outcomeText(hold)),
  ]
}

interface Exact {
  readonly parts: readonly Part[]
  /** Nothing of it is out of sight. */
  readonly isWhole: boolean
}

/** Line by line, with its blanks: a renderer would make one of many. No-break spaces of the text itself are spelled out. */
const code = (text: string): Part => ({
  type: 'Container',
  style: 'emphasis',
  items: text.split('\n').map((one) => line([run(one === '' ? '\u00a0' : one.replaceAll(' ', '\u00a0').replaceAll(/(?<=[^\u00a0])\u00a0(?=[^\u00a0])/g, ' '), { fontType: 'Monospace' })], { spacing: 'None' })),
})

/** What will run, whole or by its two ends. */
const exact = ({ action, statedReason, opinions = [] }: Hold, payload: Payload): Exact => {
  // Protocols have doubled its backslashes already.
  const shown = shownAction(action, payload)
  if (shown === undefined) return { isWhole: false, parts: [] }
  const { text: seen, hides, ruses } = shown
  const text = folded(unread(seen))
  const lines = text.split('\n')
  const fits = !action.textCut && text.length <= whole.characters && lines.length <= whole.lines
  const head = cutAt(lines.slice(0, ends.head.lines).join('\n'), ends.head.characters).text
  const tail = lines.slice(-ends.tail.lines).join('\n').slice(-ends.tail.characters).toWellFormed()
  const kinds = action.parts === undefined ? action.verbs : [`${action.parts.length} statements`, ...action.verbs]
  const said = statedReason === undefined || payload !== 'full' ? undefined : cutAt(view(statedReason), 500)
  return {
    isWhole: fits && shown.isWhole,
    parts: [
      ...(hides ? [warning('Its values are hidden here. Open the full review to see them.')] : []),
      ...(fits ? [code(text)] : [
        warning(action.textCut ? 'There is more to this action than is kept of its text.' : `This is not all of it: of ${seen.length} characters you see the beginning and the end.`),
        ...fact('Parts', word(kinds.join(', '))),
        code(head),
        line([run('…')]),
        code(tail),
      ]),
      ...(ruses.length > 0 ? [warning('What could hide something in this text, or pass for something else, is spelled out.')] : []),
      ...(said === undefined ? [] : [line([run('Words of the requester, which nobody has checked:', { isSubtle: true, weight: 'Bolder' })], { separator: true }), line([run(broken(`${said.text}${said.cut ? '…' : ''}`, '\u200b'), { italic: true })], { spacing: 'Small' })]),
      ...(payload !== 'full' ? [] : opinions.slice(0, mostOpinions).flatMap(({ advisor, text: opinion }) => [line([run(`${word(opinionLabel(advisor))}: ${opinionRemark}`, { isSubtle: true, weight: 'Bolder' })], { separator: true }), line([run(broken(cutAt(view(opinion), 500).text, '\u200b'), { italic: true })], { spacing: 'Small' })])),
    ],
  }
}

const elsewhere: Readonly<Record<Exclude<Assurance, 'chat'>, string>> = { console: 'Approving this asks for a login at the console: open it there.', passkey: 'Approving this needs a passkey: open the console.' }

/** What the reasons are called that go with clicks; one card has no name twice. */
export const reasonIds = { approve: 'approve-reason', deny: 'deny-reason' } as const

const execute = (hold: Hold, verdict: 'approve' | 'deny', style: string, label: string): Part => ({
  type: 'Action.ShowCard',
  title: verdict === 'approve' ? 'Approve…' : 'Deny…',
  card: {
    type: 'AdaptiveCard',
    version: '1.5',
    body: [{ type: 'Input.Text', id: reasonIds[verdict], label, isMultiline: true, maxLength: 1_000, ...(hold.terms.askReason ? { isRequired: true, errorMessage: 'The rule asks for a reason.' } : {}) }],
    // An old client that cannot do this has the link.
    actions: [{ type: 'Action.Execute', title: `${verdict === 'approve' ? 'Approve' : 'Deny'} ${hold.code}`, verb: verdict, style, fallback: 'drop', data: { hold: hold.id, digest: hold.action.digest } }],
  },
})

export interface CardOf {
  readonly hold: Hold
  readonly payload: Payload
  readonly consoleUrl: string
  /** Whether answers can come back from where it is shown. */
  readonly decides: boolean
  /** For how many others it speaks. Its buttons are for the one that it shows. */
  readonly alike?: number
  /** What it is shown for, where that is more than that it has changed. */
  readonly occasion?: Occasion
}

/** A yes comes only from where all that will run is seen, and where the rule takes the word of a chat for it. */
const mayApprove = (hold: Hold, payload: Payload): boolean => hold.state === 'pending' && takesYes(hold.terms, 'teams', 'chat') && exact(hold, payload).isWhole

/** What has been marked on it, and what it is shown for. */
const notices = ({ hold, occasion = 'change' }: CardOf): readonly Part[] => {
  const texts = [...marksOf(hold).map(({ what }) => what), occasion].flatMap((one) => occasionText(hold, one) ?? [])
  return [...new Set(texts)].slice(-3).map((text) => warning(unread(cutAt(text, 500).text)))
}

const hint = (hold: Hold, payload: Payload): readonly Part[] => {
  const least = leastAssurance(hold.terms)
  if (hold.state !== 'pending' || mayApprove(hold, payload)) return []
  return [line([run(least !== 'chat' ? elsewhere[least] : takesYes(hold.terms, 'teams', 'chat') ? 'Approve it where all of it is shown: open the full review.' : 'The rule takes no approval from Teams.', { isSubtle: true })])]
}

/** The whole digest, in two lines for a phone. */
const foot = ({ action: { digest }, policyVersion }: Hold): readonly Part[] =>
  [digest.slice(0, 39), digest.slice(39), `policy ${policyVersion.slice(0, 19)}`].map((text, at) => line([run(text, { isSubtle: true, size: 'Small', fontType: 'Monospace' })], { spacing: at === 0 ? 'Medium' : 'None' }))

export const cardOf = (about: CardOf): Card => {
  const { hold, payload, consoleUrl, decides, alike = 0 } = about
  const end = endOf(hold)
  const card: Card = {
    type: 'AdaptiveCard',
    $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
    version: '1.5',
    msteams: { width: 'Full' },
    fallbackText: `${stateText(hold.state)}: ${hold.code}`,
    body: [
      header(hold, payload),
      ...notices(about),
      ...(payload === 'none' ? [] : facts(hold)),
      ...(payload === 'full' || payload === 'outline' ? [...touched(hold, payload), ...exact(hold, payload).parts] : []),
      ...(end === undefined ? [] : fact(hold.state === 'approved' ? 'Must run by' : 'Decide by', timeText(end))),
      ...(alike > 0 ? [warning(`${alikeText(alike)}.`)] : []),
      ...(decides ? hint(hold, payload) : []),
      ...foot(hold),
    ],
    actions: [
      ...(decides && mayApprove(hold, payload) ? [execute(hold, 'approve', 'positive', hold.terms.askReason ? 'Reason (the rule asks for one)' : 'Reason (optional)')] : []),
      ...(decides && payload !== 'none' && hold.state === 'pending' ? [execute(hold, 'deny', 'destructive', 'Reason, which the requester reads')] : []),
      { type: 'Action.OpenUrl', title: isOpen(hold.state) ? 'Open full review' : 'Open', url: holdUrl(consoleUrl, hold) },
      ...(alike > 0 ? [{ type: 'Action.OpenUrl', title: 'Open the list', url: listUrl(consoleUrl) }] : []),
    ],
  }
  // Long names in every place: then it says only that there is something.
  return payload === 'none' || Buffer.byteLength(JSON.stringify(card)) <= mostBytes ? card : cardOf({ ...about, payload: 'none' })
}

/** Whether the card has a button for it: nothing else is taken from whoever sees the card. */
export const offers = ({ actions }: Card, verdict: 'approve' | 'deny'): boolean => JSON.stringify(actions).includes(`"verb":"${verdict}"`)

/** What is said of a card in a vote: which rendering, and the hash of the text that the voter could see whole. */
export const shownOn = (hold: Hold, payload: Payload): string => `teams/1 sha256:${hash('sha256', `teams/1\n${hold.action.digest}\n${JSON.stringify(exact({ ...hold, opinions: [] }, payload).parts)}`)}`
