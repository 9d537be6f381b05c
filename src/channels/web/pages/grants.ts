import type { GrantView } from '../../../approval/grants.ts'
import { type Grant, rowsUsed } from '../../../model/grant.ts'
import type { Hold } from '../../../model/hold.ts'
import { personText, said, spanText } from '../../words.ts'
import { grantState } from '../grant-view.ts'
import { html, type Html } from './html.ts'
import { clock, timeLeft } from './words.ts'

/** Beside a yes, in the same form: how many more of the kind, and what the kind is. Left empty, the yes is for the one action. */
export const grantFields = ({ terms: { grant, irreversible, requirements }, pattern, granted }: Hold, wish: ReadonlyMap<string, string> = new Map()): Html | undefined => {
  if (irreversible === true) return html`<p class="warn">The rule says that this cannot be undone.</p>`
  if (grant === undefined || pattern === undefined || granted !== undefined) return undefined
  const given = (name: string) => html` name="${name}" value="${wish.get(name)}"`
  const open = ['grant-times', 'grant-rows', 'grant-minutes'].some((name) => (wish.get(name) ?? '') !== '')
  return html`<details class="grant"${open && html` open`}><summary>Let more like this through</summary>
<p class="hint">Everything that the same requester asks in this form, and nothing else. What stands in &lt; &gt; may be any other value.</p>
<pre class="pattern" tabindex="0" aria-label="What may run without asking again">${pattern.text}</pre>
<div class="fields"><p><label for="grant-times">More</label><input id="grant-times"${given('grant-times')} inputmode="numeric" pattern="[0-9]*" maxlength="7" placeholder="none" aria-describedby="grant-most"></p>
${grant.rows !== undefined && html`<p><label for="grant-rows">Rows</label><input id="grant-rows"${given('grant-rows')} inputmode="numeric" pattern="[0-9]*" maxlength="7" aria-describedby="grant-most"></p>`}
<p><label for="grant-minutes">Minutes</label><input id="grant-minutes"${given('grant-minutes')} inputmode="numeric" pattern="[0-9]*" maxlength="7" aria-describedby="grant-most"></p></div>
<p class="hint" id="grant-most">The rule allows ${grant.times} more${grant.rows !== undefined && `, ${grant.rows} rows together`}, for ${spanText(grant.withinMs)} at most.${requirements.reduce((sum, { count }) => sum + count, 0) > 1 && ' It takes as many of you as the approval, and the least that anybody says counts.'}</p></details>`
}

/** What was granted with this approval. */
export const grantedCard = ({ granted }: Hold, now: number): Html | undefined =>
  granted &&
  html`<section class="card"><h2>Granted with it</h2><p>${granted.times} more like it${granted.rows !== undefined && `, ${granted.rows} rows in all`}: ${granted.ended !== undefined ? endText(granted.ended) : granted.until > now ? timeLeft(granted.until, now) : 'its time is over'}. <a href="/grants#${granted.id}">Look at it</a></p></section>`

export interface GrantsPage {
  readonly grants: readonly GrantView[]
  /** Where the next page begins. */
  readonly next?: string | undefined
  readonly csrf: string
  readonly now: number
  /** What happened to one that was just ended. */
  readonly alert?: { readonly heading: string; readonly text: string } | undefined
}

export const grantsPage = (about: GrantsPage): Html => {
  const { grants, next, alert } = about
  return html`<section>
${alert && html`<div class="alert" role="alert"><h2>${alert.heading}</h2><p>${alert.text}</p></div>`}
<h1>Grants</h1>
<p class="hint">What approvers let through beforehand, beside an action that they approved. Whoever sees a grant here can end it.</p>
${grants.length === 0 ? html`<div class="empty"><h2>There are none</h2><p>Where a rule lets approvers grant more of the same kind, they do so on the page of what they approve.</p></div>` : html`<ul class="grants">${grants.map((view) => one(view, about))}</ul>`}
${next !== undefined && html`<p><a class="button" href="/grants?after=${next}">Older ones</a></p>`}
</section>`
}

const words: Readonly<Record<ReturnType<typeof grantState>, string>> = { open: 'Open', over: 'Its time is over', 'used-up': 'Used up', revoked: 'Revoked', ended: 'Ended' }
const endText = (end: NonNullable<Grant['ended']>['why']): string => words[end].toLowerCase()

const one = ({ grant, hold }: GrantView, { csrf, now }: GrantsPage): Html => {
  const { id, uses, bounds, until, ended } = grant
  const state = grantState(grant, now)
  return html`<li class="card" id="${id}"><h2><span class="badge g-${state}">${words[state]}</span> ${personText(hold.caller)}${hold.caller.onBehalfOf[0] && html` for ${personText(hold.caller.onBehalfOf[0])}`} at ${said(hold.action.service)}</h2>
<pre class="pattern" tabindex="0" aria-label="What may run">${hold.pattern?.text}</pre>
<p class="budget"><b>${uses.length} of ${bounds.times}</b> used${bounds.rows !== undefined && html`, <b>${rowsUsed(grant)} of ${bounds.rows}</b> rows`}${state === 'open' && html`, ${timeLeft(until, now)}`}</p>
<p class="hint">Given by ${hold.votes.filter((vote) => vote.grant !== undefined).map(({ by }, at) => html`${at > 0 && ', '}${personText(by)}`)}, ${clock(grant.madeAt)}, with <a href="/holds/${hold.id}">${hold.code}</a>.${ended !== undefined && html` ${words[ended.why]} ${clock(ended.at)}${ended.by !== undefined && ` by ${said(ended.by.subject)}`}${ended.cause !== undefined && `: ${ended.cause}`}.`}</p>
${uses.length > 0 && html`<details><summary>Uses</summary><ol class="uses">${uses.map(({ at, digest, rows, outcome }) => html`<li>${clock(at)} ${outcome?.result ?? 'no end known'}${outcome?.status !== undefined && ` ${said(outcome.status)}`}${rows !== undefined && `, ${rows} rows`} <code>${digest.slice(0, 23)}…</code></li>`)}</ol></details>`}
${state === 'open' && html`<form method="post" action="/grants/${id}/revoke"><input type="hidden" name="csrf" value="${csrf}"><div><button class="quiet">End it <span class="heard">${hold.code}</span></button></div></form>`}</li>`
}
