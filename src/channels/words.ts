import type { Occasion } from '../approval/channel.ts'
import { progressOf } from '../approval/progress.ts'
import { escalatedTo, marksOf, reviewWithinMs } from '../approval/marks.ts'
import { plainView } from '../lib/plain-view.ts'
import { visibleRaw } from '../lib/visible.ts'
import type { Party, Principal } from '../model/caller.ts'
import { isPlan, type Action, type Impact } from '../model/action.ts'
import type { Circle } from '../model/decision.ts'
import type { GrantEnd } from '../model/grant.ts'
import { isOpen, type Hold, type HoldState } from '../model/hold.ts'

/* What a hold is called, the same on pages and on cards of chats. */

/** Words of strangers: what could hide, reorder, erase or pass for something else in them is spelled out. */
export const said = (text: string): string => plainView(visibleRaw(text)).text

/** What stands for an action in a list: of a request the line and the body, without the headers between. */
export const gist = ({ protocol, text }: { readonly protocol: string; readonly text: string }): string => (protocol === 'http' ? text.replace(/\n[^]*?(?:\n\n|$)/, ' ').trimEnd() : text)

const minute = 60_000

/** `2026-11-21 18:04 UTC`; a script may put the reader's own time beside it. */
export const timeText = (at: number): string => `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`

/** The largest two units of a time span. */
export const spanText = (ms: number): string => {
  const seconds = Math.max(0, Math.floor(ms / 1_000))
  if (seconds < 60) return `${seconds} s`
  const [days, hours, minutes] = [Math.floor(ms / (1_440 * minute)), Math.floor(ms / (60 * minute)) % 24, Math.floor(ms / minute) % 60]
  if (days > 0) return hours > 0 ? `${days} d ${hours} h` : `${days} d`
  if (hours > 0) return minutes > 0 ? `${hours} h ${minutes} min` : `${hours} h`
  return minutes < 10 && seconds % 60 > 0 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`
}

const states: Readonly<Record<HoldState, string>> = { pending: 'Waiting', approved: 'Approved', denied: 'Denied', expired: 'Expired', withdrawn: 'Taken back', running: 'Running', executed: 'Executed', failed: 'Failed', unknown: 'Outcome unknown' }

export const stateText = (state: HoldState): string => states[state]

export const personText = ({ name, email, subject }: Pick<Principal, 'name' | 'email' | 'subject'>): string => said(name ?? email ?? subject)

/** Name, and the account where the name is not it. */
export const accountText = (who: Principal | (Party & { readonly name?: string; readonly email?: string })): string => {
  const { name, email, subject } = who
  return [name === undefined || name === subject ? '' : said(name), email === undefined ? '' : `<${said(email)}>`, name === undefined || name !== subject ? `(${said(subject)})` : said(subject)].filter(Boolean).join(' ')
}

const verbs: Readonly<Record<string, string>> = { 'sql.delete': 'DELETE', 'sql.update': 'UPDATE', 'sql.insert': 'INSERT', 'sql.select': 'SELECT' }

/** `sql.delete` as people say it. */
export const verbText = (verb: string): string => verbs[verb] ?? (/^http\.[A-Z]+$/.test(verb) ? verb.slice(5) : /^sql\.[a-z-]+$/.test(verb) ? verb.slice(4).replaceAll('-', ' ').toUpperCase() : said(verb))

/** What would run, said once: for headings and lists. */
export const headline = ({ action }: Hold): string => action.verbs.slice(0, 3).map(verbText).join(' + ')

/** The first thing that it changes, or reads where it changes nothing. */
export const targetText = ({ action }: Hold): string => {
  const named = action.resources.filter(({ kind }) => kind !== 'column' && kind !== 'function')
  const first = named.find(({ access }) => access === 'write') ?? named[0] ?? action.resources[0]
  return first === undefined ? said(action.service) : said(first.name)
}

/** How much it would change, in few words. */
export const impactText = (impact: Impact | undefined): string | undefined => {
  if (impact === undefined) return undefined
  const { exactRows, estimatedRows, unfiltered } = impact
  const counted = (count: number): string => `${count.toLocaleString('en-US')} ${count === 1 ? 'row' : 'rows'}`
  const rows = exactRows !== undefined ? counted(exactRows) : estimatedRows !== undefined ? `about ${counted(estimatedRows)}` : undefined
  if (unfiltered === true) return rows === undefined ? 'every row' : `every row: ${rows}`
  return rows
}

/** How many of the people who are asked have said yes, counted as the rules count them: each in one place. */
export const votesOf = (hold: Hold): { readonly given: number; readonly needed: number } => ({ given: progressOf(hold).reduce((sum, { given }) => sum + given, 0), needed: hold.terms.requirements.reduce((sum, { count }) => sum + count, 0) })

/** Over each opinion, wherever it stands. */
export const opinionLabel = (advisor: string): string => `A machine's opinion (${said(advisor)})`
export const opinionRemark = 'It counts for nothing. The requester may have written what it was misled by.'

/** What a plan is, in few words. */
export const planText = (action: Action): string | undefined => (isPlan(action) ? `${action.parts?.length ?? 0} statements, one by one in one transaction, all or none` : undefined)

const circleText = ({ groups, users }: Circle): string => [...groups, ...users.map(({ subject }) => subject)].map(said).join(', ')

const grantEnds: Readonly<Record<GrantEnd, string>> = { 'used-up': 'is used up', revoked: 'was revoked', ended: 'has ended' }

/** What an occasion is about, in a line of our own; `undefined` for a change, which the state tells. */
export const occasionText = (hold: Hold, occasion: Occasion): string | undefined => {
  if (occasion === 'change' || occasion === 'alike') return undefined
  if (occasion === 'reminder') return 'Nobody has decided, and half of the time is over.'
  const mark = marksOf(hold).findLast(({ what }) => what === occasion)
  if (mark === undefined) return undefined
  if (mark.what === 'escalated') return `Nobody has decided. Now ${circleText(escalatedTo(hold, mark.at))} may decide as well.`
  if (mark.what === 'handed-over') return `${personText(mark.by)} asks ${said('group' in mark.to ? mark.to.group : mark.to.subject)} to look at it.`
  if (mark.what === 'broke-glass') return `GLASS BROKEN: ${personText(mark.by)} released it without ${circleText(mark.skipped)}. Somebody else reviews it by ${timeText(mark.at + reviewWithinMs)}.`
  if (mark.what === 'review-overdue') return 'Nobody has reviewed how the glass was broken.'
  if (mark.what === 'granted') return `With it ${mark.bounds.times} more like it${mark.bounds.rows === undefined ? '' : `, ${mark.bounds.rows} rows together,`} may run until ${timeText(mark.at + mark.bounds.withinMs)}.`
  if (mark.what === 'grant-ended') return `The grant given with it ${grantEnds[mark.end]}; ${mark.used} of ${hold.granted?.times ?? mark.used} were used.`
  return `${personText(mark.by)} has reviewed how the glass was broken.`
}

/** What a message says of those that it speaks for. */
export const alikeText = (alike: number): string => `${alike} more like it ${alike === 1 ? 'waits' : 'wait'}, not shown here: look at ${alike === 1 ? 'it' : 'them'} in the console`

/** What comes next, and when, for a hold that is not settled. */
export const endOf = (hold: Hold): number | undefined => (isOpen(hold.state) ? (hold.state === 'approved' ? (hold.runBy ?? hold.deadline) : hold.deadline) : undefined)
