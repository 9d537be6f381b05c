import { hash } from 'node:crypto'
import { leastAssurance, takesYes } from '../../approval/assurance.ts'
import { marksOf } from '../../approval/marks.ts'
import type { Ruse } from '../../lib/plain-view.ts'
import { approversIn } from '../../model/decision.ts'
import { isOpen, type Hold, type Vote } from '../../model/hold.ts'
import { holdUrl, listUrl } from '../interest.ts'
import type { Payload } from '../options.ts'
import { ruseText } from '../ruses.ts'
import { shownAction } from '../shown-action.ts'
import { accountText, alikeText, endOf, headline, impactText, occasionText, opinionLabel, opinionRemark, personText, planText, said, stateText, timeText, votesOf } from '../words.ts'
import { actions, button, context, fields, header, paragraph, preformatted, timeContext, type Block } from './blocks.ts'

/** Named in every vote beside the hash of what was shown. To be raised with every change of what this file renders. */
const rendering = 'slack/1'

/** What a window of a chat shows without folding much of it away, and without Slack cutting it. */
const longestText = 2_900
const mostLines = 60
/** Of a text that is cut: what stands first and last. */
const [headLength, tailLength] = [1_400, 700]
const mostResources = 20
const longestName = 200
const mostOpinions = 3

export interface Card {
  /** For notifications and screen readers. Slack reads it as markup, so no word of a stranger is in it. */
  readonly text: string
  readonly blocks: readonly Block[]
}

export interface CardStyle {
  readonly payload: Payload
  readonly consoleUrl: string
  /** Whether a click would reach us. */
  readonly interactive: boolean
}

/** The exact action as this card shows it, whole or not. */
interface ShownText {
  readonly text: string
  readonly whole: boolean
  readonly hides: boolean
  readonly ruses: readonly Ruse[]
}

const shownText = ({ action }: Hold, payload: Payload): ShownText | undefined => {
  const shown = shownAction(action, payload)
  if (shown === undefined) return undefined
  const { text, isWhole, hides, ruses } = shown
  const fits = text.length <= longestText && text.split('\n').length <= mostLines
  return { text: fits ? text : shortened(text), whole: fits && isWhole, hides, ruses }
}

const shortened = (text: string): string => {
  const lines = text.split('\n')
  const head = lines.slice(0, mostLines / 2).join('\n').slice(0, headLength).toWellFormed()
  const tail = lines.slice(-mostLines / 4).join('\n').slice(-tailLength).toWellFormed()
  return `${head}\n\\{here ${text.length - head.length - tail.length} of ${text.length} characters are left out}\n${tail}`
}

/** What whoever decides sees: without values where they are hidden, and else the text, also where the message has no more than a summary. `undefined`: nothing may be shown. */
export const decidedText = (hold: Hold, payload: Payload): Pick<ShownText, 'text' | 'hides'> | undefined => shownText(hold, payload === 'outline' ? 'outline' : 'full')

/** Whether this card may be decided on where it stands: somebody who sees all of it, in a chat, is who the terms ask for. */
export const isDecidable = (hold: Hold, { payload, interactive }: Pick<CardStyle, 'payload' | 'interactive'>): boolean =>
  interactive && hold.state === 'pending' && takesYes(hold.terms, 'slack', 'chat') && shownText(hold, payload)?.whole === true

/** `slack/1 sha256:…` over the action as it was shown. */
export const shownName = (hold: Hold, payload: Payload): string => `${rendering} sha256:${hash('sha256', `${rendering}\n${hold.action.digest}\n${decidedText(hold, payload)?.text ?? ''}`)}`

export const buttonValue = ({ id, action }: Hold): string => `${id}.${action.digest}`

const opening = (hold: Hold): string => (hold.state === 'pending' ? 'Approval wanted' : stateText(hold.state))

/** `alike`: for how many others it speaks. Its buttons are for the one that it shows. */
export const makeCard = (hold: Hold, style: CardStyle, alike = 0): Card => {
  const { payload } = style
  const what = payload === 'none' ? `${opening(hold)}: ${hold.code}` : `${opening(hold)}: ${headline(hold)} at ${said(hold.action.service)}`
  const end = endOf(hold)
  return {
    text: `${opening(hold)}: ${hold.code}`,
    blocks: [
      header(what),
      ...(payload === 'none' ? [] : [fields(facts(hold))]),
      ...exactly(hold, payload),
      ...(payload === 'none' ? [] : verdicts(hold)),
      ...(end === undefined ? [] : [timeContext(hold.state === 'approved' ? 'Run by' : 'Decide by', end)]),
      context(hold.code, hold.action.digest, ...(payload === 'none' ? [] : [`policy ${said(hold.policyVersion).slice(0, 19)}`])),
      ...(alike > 0 ? [paragraph(`${alikeText(alike)}.`), actions(button(actionIds.list, 'Open the list', { url: listUrl(style.consoleUrl) }))] : []),
      ...foot(hold, style),
    ],
  }
}

const facts = (hold: Hold): readonly (readonly [string, string])[] => {
  const { action, caller, terms } = hold
  const { given, needed } = votesOf(hold)
  const rules = hold.matched.filter(({ then, observed }) => then === 'hold' && !observed)
  const impact = impactText(action.impact)
  const place = action.place && `${action.place.database} as ${action.place.role}`
  const pairs: readonly (readonly [string, string | undefined])[] = [
    ['Asked by', `${caller.kind} ${accountText(caller)}`],
    ['On behalf of', caller.onBehalfOf.map((who) => `${who.kind} ${accountText(who)}`).join('\n')],
    ['Service', [said(action.service), place === undefined ? '' : said(place)].filter(Boolean).join(', ')],
    ['Plan', planText(action)],
    ['Would change', action.effect === 'read' ? 'nothing: it reads' : impact],
    ['Data', action.tags.map(said).join(', ')],
    ['Why it waits', rules.map(({ policy, rule, because }) => `${said(policy)}/${said(rule)}${because === undefined ? '' : `: ${said(because)}`}`).join('\n')],
    ['Approvals', `${given} of ${needed}: ${terms.requirements.map((requirement) => `${requirement.count} of ${approversIn(requirement).map(said).join(', ')}`).join('; ')}`],
    ['Result', resultText(hold)],
  ]
  return pairs.filter((pair): pair is readonly [string, string] => pair[1] !== undefined && pair[1] !== '')
}

export const resultText = ({ outcome }: Hold): string | undefined => {
  if (outcome === undefined) return undefined
  const parts = [outcome.result, outcome.status === undefined ? '' : `status ${said(outcome.status)}`, outcome.rows === undefined ? '' : `${outcome.rows} ${outcome.rows === 1 ? 'row' : 'rows'}`, `${Math.round(outcome.ms)} ms`]
  return parts.filter(Boolean).join(', ')
}

export const textLabel = (hides: boolean): string => (hides ? 'The action without its values' : 'The exact action')

const exactly = (hold: Hold, payload: Payload): readonly Block[] => {
  const shown = shownText(hold, payload)
  if (shown === undefined) return []
  const { text, whole, hides, ruses } = shown
  const kinds = hold.action.parts === undefined ? '' : `, ${hold.action.parts.length} statements`
  const remark = [hides ? 'Its values are hidden here.' : '', whole ? '' : `Not all of it is shown here: open the full review. It does: ${headline(hold)}${kinds}.`, ruses.length === 0 ? '' : `⚠ ${ruseText(ruses)}`].filter(Boolean).join(' ')
  // Of a path only what its request line shows, and of words of the requester nothing, where values are hidden.
  const resources = hold.action.resources.filter(({ kind }) => kind !== 'column' && !(hides && kind === 'path'))
  const list = resources.slice(0, mostResources).map(({ kind, access, name }) => `${kind === 'function' ? 'calls ' : access === 'write' ? 'writes' : 'reads '} ${nameView(name).replaceAll('\n', '\\u{a}')}`)
  return [
    preformatted(textLabel(hides), text, remark === '' ? undefined : remark),
    ...(list.length === 0 ? [] : [preformatted('What it touches', [...list, ...(resources.length > mostResources ? [`and ${resources.length - mostResources} more`] : [])].join('\n'))]),
    ...(hold.statedReason === undefined || payload !== 'full' ? [] : [preformatted('What the requester says', nameView(hold.statedReason, 1_000), 'Nobody has checked it.')]),
    ...(payload !== 'full' ? [] : (hold.opinions ?? []).slice(0, mostOpinions).map(({ advisor, text: opinion }) => preformatted(opinionLabel(advisor), nameView(opinion, 700), opinionRemark))),
  ]
}

const nameView = (text: string, longest = longestName): string => {
  const view = said(text)
  return view.length <= longest ? view : `${view.slice(0, longest).toWellFormed()} …`
}

const verdicts = (hold: Hold): readonly Block[] => {
  const lines = hold.votes.slice(-9).map(({ verdict, by, channel, brokeGlass, at }: Vote) => `${brokeGlass ? '▲' : verdict === 'approve' ? '✓' : '✕'} ${personText(by)} ${brokeGlass ? 'released it alone' : verdict === 'approve' ? 'approved' : 'denied'}${channel === 'automation' ? ', an automation' : ` by ${channel}`}, ${timeText(at)}`)
  const marks = [...new Set(marksOf(hold).map(({ what }) => what))].flatMap((what) => occasionText(hold, what) ?? [])
  return [...(marks.length === 0 ? [] : [context(...marks)]), ...(lines.length === 0 ? [] : [context(...lines)])]
}

/** What Slack calls a click on each of them. */
export const actionIds = { approve: 'countersign.approve', deny: 'countersign.deny', open: 'countersign.open', list: 'countersign.list' } as const

const foot = (hold: Hold, style: CardStyle): readonly Block[] => {
  const open = button(actionIds.open, isOpen(hold.state) ? 'Open full review' : 'Open', { url: holdUrl(style.consoleUrl, hold) })
  if (!style.interactive || style.payload === 'none' || hold.state !== 'pending') return [actions(open)]
  const value = buttonValue(hold)
  const deny = button(actionIds.deny, 'Deny', { value, style: 'danger' })
  if (!isDecidable(hold, style)) return [context(`${elsewhere(hold)} open the console.`), actions(deny, open)]
  // Where a reason is asked for, a window asks for it, and is the confirmation.
  const sure = hold.terms.askReason ? {} : { confirm: { title: `Approve ${hold.code}?`, text: `${headline(hold)} at ${said(hold.action.service)}. You answer for what the card shows.` } }
  return [actions(button(actionIds.approve, 'Approve', { value, style: 'primary', ...sure }), deny, open)]
}

/** Why it is not approved here. */
const elsewhere = ({ terms }: Hold): string => {
  const least = leastAssurance(terms)
  return least === 'passkey' ? 'Needs a passkey:' 
    : least === 'console' ? 'Needs more than a click in a chat:'
    : !takesYes(terms, 'slack', 'chat') ? 'The rule takes no approval from Slack:'
    : 'Not all of it is shown here:'
}

/** In the place of a card whose hold is not what was written any more. */
export const untrustedCard = (code: string, text: string, link: { readonly text: string; readonly url: string }): Card => ({ text: `Not to be trusted: ${code}`, blocks: [header(`Not to be trusted: ${code}`), ...answerBlocks(text, link)] })

/** A message that only one person sees. */
export const answerBlocks = (text: string, link: { readonly text: string; readonly url: string } | undefined): readonly Block[] => [paragraph(text), ...(link === undefined ? [] : [actions(button(actionIds.open, link.text, { url: link.url }))])]
