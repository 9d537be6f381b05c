import { visibleRaw } from '../../../lib/visible.ts'
import type { Party, Principal } from '../../../model/caller.ts'
import type { Impact } from '../../../model/action.ts'
import { isOpen, type Hold, type HoldState } from '../../../model/hold.ts'
import { html, type Html } from './html.ts'

/** Words of strangers: what could hide, reorder or erase in them is spelled out. */
export const said = (text: string): string => visibleRaw(text)

const minute = 60_000

/** `2026-11-21 18:04 UTC`; a script may put the reader's own time beside it. */
export const timeText = (at: number): string => `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`

export const clock = (at: number): Html => html`<time datetime="${new Date(at).toISOString()}">${timeText(at)}</time>`

/** The largest two units of a time span. */
export const spanText = (ms: number): string => {
  const seconds = Math.max(0, Math.floor(ms / 1_000))
  if (seconds < 60) return `${seconds} s`
  const [days, hours, minutes] = [Math.floor(ms / (1_440 * minute)), Math.floor(ms / (60 * minute)) % 24, Math.floor(ms / minute) % 60]
  if (days > 0) return hours > 0 ? `${days} d ${hours} h` : `${days} d`
  if (hours > 0) return minutes > 0 ? `${hours} h ${minutes} min` : `${hours} h`
  return minutes < 10 && seconds % 60 > 0 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`
}

/** What is left until then, counted down by a script where there is one. */
export const timeLeft = (until: number, now: number): Html => html`<time class="left" datetime="${new Date(until).toISOString()}" data-until="${until}">${until > now ? `${spanText(until - now)} left` : 'time is over'}</time>`

const states: Readonly<Record<HoldState, string>> = { pending: 'Waiting', approved: 'Approved', denied: 'Denied', expired: 'Expired', withdrawn: 'Taken back', running: 'Running', executed: 'Executed', failed: 'Failed', unknown: 'Outcome unknown' }

export const stateText = (state: HoldState): string => states[state]

/** A sign beside the word, so that no state is told by colour alone. */
const signs: Readonly<Record<HoldState, string>> = { pending: '◔', approved: '✓', denied: '✕', expired: '⌛', withdrawn: '↩', running: '▸', executed: '✓', failed: '!', unknown: '?' }

export const stateBadge = (state: HoldState): Html => html`<span class="badge s-${state}"><span aria-hidden="true">${signs[state]}</span> ${stateText(state)}</span>`

export const personText = ({ name, email, subject }: Pick<Principal, 'name' | 'email' | 'subject'>): string => said(name ?? email ?? subject)

/** Name, and the account where the name is not it. */
export const accountText = (who: Principal | (Party & { readonly name?: string; readonly email?: string })): string => {
  const { name, email, subject } = who
  return [name === undefined || name === subject ? '' : said(name), email === undefined ? '' : `<${said(email)}>`, name === undefined || name !== subject ? `(${said(subject)})` : said(subject)].filter(Boolean).join(' ')
}

const verbs: Readonly<Record<string, string>> = { 'sql.delete': 'DELETE', 'sql.update': 'UPDATE', 'sql.insert': 'INSERT', 'sql.select': 'SELECT' }

/** `sql.delete` as people say it. */
export const verbText = (verb: string): string => verbs[verb] ?? (/^http\.[A-Z]+$/.test(verb) ? verb.slice(5) : /^sql\.[a-z-]+$/.test(verb) ? verb.slice(4).replaceAll('-', ' ').toUpperCase() : said(verb))

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

export const votesOf = (hold: Hold): { readonly given: number; readonly needed: number } => ({ given: hold.votes.filter(({ verdict }) => verdict === 'approve').length, needed: hold.terms.requirements.reduce((sum, { count }) => sum + count, 0) })

/** What comes next, and when, for a hold that is not settled. */
export const endOf = (hold: Hold): number | undefined => (isOpen(hold.state) ? (hold.state === 'approved' ? (hold.runBy ?? hold.deadline) : hold.deadline) : undefined)
