import { askedBy, groupsAsked, leastReason, marksOf, reviewDue } from '../../../approval/marks.ts'
import type { Caller } from '../../../model/caller.ts'
import { approversIn } from '../../../model/decision.ts'
import type { Hold, Mark } from '../../../model/hold.ts'
import { personText, said } from '../../words.ts'
import { html, type Html } from './html.ts'
import { clock, timeLeft } from './words.ts'

export type Offers = ReadonlySet<'break-glass' | 'review' | 'hand-over'>

interface About {
  readonly hold: Hold
  readonly viewer: Caller
  readonly csrf: string
  readonly shown: string
  readonly offers: Offers
  readonly now: number
  /** What was typed and not counted. */
  readonly typed?: string | undefined
}

/** What people did with it beside voting, as one line each. */
export const markText = (mark: Mark): string => {
  if (mark.what === 'escalated') return 'Escalated: others may decide, too'
  if (mark.what === 'review-overdue') return 'Nobody has reviewed it in time'
  if (mark.what === 'granted') return `${mark.bounds.times} more like it let through`
  if (mark.what === 'grant-ended') return `The grant given with it has ended, ${mark.used} used`
  const by = personText(mark.by)
  if (mark.what === 'handed-over') return `${by} asked ${successorText(mark.to)} to look`
  return mark.what === 'broke-glass' ? `${by} broke the glass` : `${by} reviewed it`
}

const successorText = (to: Extract<Mark, { what: 'handed-over' }>['to']): string => ('group' in to ? `the group ${said(to.group)}` : said(to.subject))

/** What must not be missed, above everything else. */
export const notices = ({ hold, viewer, now }: Pick<About, 'hold' | 'viewer' | 'now'>): Html => {
  const broke = marksOf(hold).findLast((mark) => mark.what === 'broke-glass') as Extract<Mark, { what: 'broke-glass' }> | undefined
  const asked = hold.state === 'pending' ? askedBy(hold, viewer) : undefined
  const due = reviewDue(hold)
  const reviewed = due === undefined ? (marksOf(hold).findLast((mark) => mark.what === 'reviewed') as Extract<Mark, { what: 'reviewed' }> | undefined) : undefined
  return html`${broke && html`<section class="alert glass" aria-labelledby="glass"><h2 id="glass"><span aria-hidden="true">▲</span> The glass was broken</h2>
<p><b>${personText(broke.by)}</b> released this alone, ${clock(broke.at)}, past ${approversIn(broke.skipped).map(said).join(', ')}.</p><blockquote>${said(broke.reason)}</blockquote>
${due !== undefined && html`<p>Somebody else has to review it: ${timeLeft(due, now)}.</p>`}${reviewed && html`<p><b>${personText(reviewed.by)}</b> has reviewed it, ${clock(reviewed.at)}:</p><blockquote>${said(reviewed.note)}</blockquote>`}</section>`}
${asked && html`<section class="card asked"><p><b>${personText(asked.by)}</b> asks you to look, ${clock(asked.at)}.</p>${asked.note !== undefined && html`<blockquote>${said(asked.note)}</blockquote>`}</section>`}`
}

/** Forms for what this person can do beside voting. */
export const besidesVoting = (about: About): Html => {
  const { offers } = about
  return html`${offers.has('review') && reviewForm(about)}${offers.has('break-glass') && glassForm(about)}${offers.has('hand-over') && handOverForm(about)}`
}

const hidden = ({ hold, csrf, shown }: About): Html =>
  html`<input type="hidden" name="csrf" value="${csrf}"><input type="hidden" name="digest" value="${hold.action.digest}"><input type="hidden" name="revision" value="${hold.revision}"><input type="hidden" name="shown" value="${shown}">`

const reviewForm = ({ hold, csrf }: About): Html => html`<section class="card" id="review"><h2>Your review</h2>
<p class="hint">This ran without the approval of anybody. Look at what it was and what came of it.</p>
<form method="post" action="/holds/${hold.id}/review"><input type="hidden" name="csrf" value="${csrf}">
<label for="found">What you found</label><textarea id="found" name="note" rows="3" maxlength="2000" required></textarea>
<div class="buttons"><button>Reviewed</button></div></form></section>`

const glassForm = (about: About): Html => {
  const { hold } = about
  const least = leastReason(hold.terms)
  if (hold.action.textCut) return html`<details class="card"><summary>Break the glass</summary><p>The action is longer than can be shown. On the command line it can be released by its digest.</p></details>`
  return html`<details class="card"><summary>Break the glass</summary>
<p class="warn">In an emergency only. You release this alone, past everybody who would have to agree. All of them are told, with your name and your reason, and one of them has to review it.</p>
<form method="post" action="/holds/${hold.id}/break-glass">${hidden(about)}
<label for="why">Reason, at least ${least} characters</label><textarea id="why" name="reason" rows="3" minlength="${least}" maxlength="2000" required>${about.typed}</textarea>
<div class="buttons"><button class="deny">Release it alone <span class="code">${hold.code}</span></button></div></form></details>`
}

const handOverForm = ({ hold, csrf }: About): Html => html`<details class="card"><summary>Ask somebody else to look</summary>
<p class="hint">They find it in their inbox. Who may decide stays what the rules say.</p>
<form method="post" action="/holds/${hold.id}/hand-over"><input type="hidden" name="csrf" value="${csrf}">
<label for="group">Group</label><select id="group" name="group"><option value="">a person, named below</option>${groupsAsked(hold).map((group) => html`<option value="${group}">${said(group)}</option>`)}</select>
<label for="subject">Person, by account</label><input id="subject" name="subject" maxlength="1000" autocomplete="off">
<label for="note">Note (optional)</label><textarea id="note" name="note" rows="2" maxlength="2000"></textarea>
<div class="buttons"><button>Ask</button></div></form></details>`
