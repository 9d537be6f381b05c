import type { Caller } from '../../../model/caller.ts'
import { isOpen, type Hold, type Vote } from '../../../model/hold.ts'
import { whyNot } from '../../why-not.ts'
import { endOf, headline, impactText, opinionLabel, opinionRemark, personText, said, spanText, stateText, targetText, votesOf } from '../../words.ts'
import { historyCard } from './history.ts'
import { marksOf } from '../../../approval/marks.ts'
import { progressOf } from '../../../approval/progress.ts'
import { approversIn } from '../../../model/decision.ts'
import type { Lack } from '../passkeys/signing.ts'
import { grantedCard, grantFields } from './grants.ts'
import { html, type Html } from './html.ts'
import { receiptLink } from './receipt-link.ts'
import { lineageLinks } from './lineage-links.ts'
import { besidesVoting, markText, notices, type Offers } from './people.ts'
import type { Statement } from './statement.ts'
import { runText } from './statement.ts'
import { clock, stateBadge, timeLeft } from './words.ts'

export interface HoldPage {
  readonly hold: Hold
  readonly statement: Statement
  readonly viewer: Caller
  readonly csrf: string
  /** Why the viewer may not approve; `undefined` if they may. */
  readonly obstacle: string | undefined
  /** It is the viewer's own request. */
  readonly own: boolean
  readonly mine: Vote | undefined
  /** What the viewer can do beside voting. */
  readonly offers: Offers
  /** What the viewer still needs for a yes. */
  readonly lack: Lack | undefined
  readonly url: string
  /** Whether the viewer may have its receipt. */
  readonly receipt: boolean
  /** Whether the viewer may look into the audit log. */
  readonly readsAudit: boolean
  readonly now: number
  /** What happened to a decision that was just sent. */
  readonly alert?: { readonly heading: string; readonly text: string } | undefined
  /** What was typed and not counted, so that it is not lost. */
  readonly typed?: string | undefined
  /** The form of a yes that could not be taken as it is: what it would have granted stands there again, in sight. */
  readonly wish?: ReadonlyMap<string, string> | undefined
}

export const holdPage = (about: HoldPage): Html => {
  const { hold, statement, alert, now } = about
  const end = endOf(hold)
  const impact = impactText(hold.action.impact)
  return html`<article class="hold" data-hold="${hold.id}" data-revision="${hold.revision}">
<nav class="crumbs"><a href="/"><span aria-hidden="true">←</span> Approvals</a></nav>
${alert && html`<div class="alert" role="alert"><h2>${alert.heading}</h2><p>${alert.text}</p></div>`}
<div class="alert" id="changed" hidden><h2>This changed while you looked at it</h2><p><a href="/holds/${hold.id}">Load it again</a> before you decide.</p></div>
${notices(about)}
<header class="head"><div class="states">${stateBadge(hold.state)} <span class="code" title="Short code of this action">${hold.code}</span>${end !== undefined && timeLeft(end, now)}</div>
<h1><span class="verb">${headline(hold)}</span> <span class="target">${targetText(hold)}</span></h1>
<p class="lead">${personText(hold.caller)}${hold.caller.onBehalfOf[0] && html` for ${personText(hold.caller.onBehalfOf[0])}`} asks at <b>${said(hold.action.service)}</b>${impact !== undefined && html`: <b${hold.action.impact?.unfiltered === true && html` class="every"`}>${impact}</b>`}</p>${about.obstacle === undefined && hold.state === 'pending' && html`<a class="jump" href="#decide">Decide <span aria-hidden="true">↓</span></a>`}</header>
<div class="columns">
<div class="statement">${statement.markup}${opinions(hold)}${historyCard(hold)}</div>
<aside aria-label="Decision and record">
${decision(about)}
${besidesVoting({ ...about, shown: statement.shown })}
${result(hold)}
${grantedCard(hold, about.now)}
${votes(about)}
${timeline(hold)}
${record(about)}
${about.readsAudit && lineageLinks({ caller: hold.caller, action: hold.action })}
</aside>
</div>
</article>`
}

const decision = (about: HoldPage): Html => {
  const { hold, statement, csrf, obstacle, own, mine, lack, url, typed } = about
  if (!isOpen(hold.state)) return html`<section class="card decided"><h2>Decided</h2><p>${closing(hold)}</p>${yours(mine)}</section>`
  const withdraw = own && html`<form method="post" action="/holds/${hold.id}/withdraw"><input type="hidden" name="csrf" value="${csrf}"><button class="quiet">Take it back</button></form>`
  const why = whyNot(hold, about.viewer, obstacle)
  const mayDeny = obstacle === undefined || (obstacle === 'already-voted' && mine?.verdict === 'approve') || (hold.state === 'approved' && obstacle !== 'self-approval' && obstacle !== 'not-eligible')
  const mayApprove = obstacle === undefined && hold.state === 'pending' && !hold.action.textCut
  return html`<section class="card decide" id="decide"><h2>${mayApprove ? 'Your decision' : 'Decision'}</h2>
${yours(mine)}
${why !== undefined && obstacle !== 'already-voted' && html`<p class="why">${why}</p>`}
${hold.action.textCut && obstacle === undefined && cutText(hold, url)}
${mayDeny && html`<form method="post" action="/holds/${hold.id}/vote" class="vote">
<input type="hidden" name="csrf" value="${csrf}"><input type="hidden" name="digest" value="${hold.action.digest}"><input type="hidden" name="revision" value="${hold.revision}"><input type="hidden" name="shown" value="${statement.shown}">
<label for="reason">Reason${hold.terms.askReason ? ' (the rule asks for one)' : ' (optional)'}</label>
<textarea id="reason" name="reason" rows="3" maxlength="2000"${hold.terms.askReason && html` required`} aria-describedby="reads">${typed}</textarea>
<p class="hint" id="reads">The requester, also an agent, reads it.</p>
${mayApprove && grantFields(hold, about.wish)}
${mayApprove && lack && lacking(hold, lack)}
<div class="buttons">${mayApprove && (lack === undefined || lack.lacks === 'signature') && html`<button name="verdict" value="approve" class="approve"${lack && html` data-passkey="/holds/${hold.id}/challenge"`}>Approve${lack && ' with a passkey'} <span class="code">${hold.code}</span></button>`}<button name="verdict" value="deny" class="deny">Deny</button></div>
${mayApprove && html`<p class="hint">${runText(hold)}</p>`}
</form>`}
${withdraw}
</section>`
}

/** Nobody approves what they do not see whole: by its digest, where that is enough. */
const cutText = ({ id, action, terms }: Hold, url: string): Html =>
  terms.requirements.every(({ assurance, freshLoginMs }) => assurance === 'passkey' || freshLoginMs !== undefined)
    ? html`<p class="warn">The action is longer than can be shown, and what the rule asks of a yes is given only here, for what is shown: nobody can approve it. Deny it, and let it be asked for in smaller parts.</p>`
    : html`<p class="warn">The action is longer than can be shown. Approve it, once you have looked at it whole, by its digest:</p><pre class="cli" tabindex="0">countersign holds approve ${id} --server ${url} --digest ${action.digest}</pre>`

const lacking = ({ id }: Hold, lack: Lack): Html => {
  if (lack.lacks === 'channel') return html`<p class="warn">The rule takes a yes not here, but through these alone: ${lack.takes.join(', ')}. A no counts here as well.</p>`
  if (lack.lacks === 'login') return html`<p class="warn">To approve this, sign in again first; that is good for ${spanText(lack.withinMs)}. <a class="button" href="/oauth2/step-up?rd=%2Fholds%2F${id}">Sign in again</a></p>`
  if (lack.lacks === 'passkey') return html`<p class="warn">A yes to this is signed with a passkey, and you have none here. <a href="/passkeys">Add one</a>, then come back.</p>`
  return html`<p class="warn" role="alert" data-problem hidden></p><noscript><p class="warn">A yes to this is signed with a passkey, and a browser uses one only with scripts, which are switched off. Denying works without.</p></noscript>`
}

const yours = (mine: Vote | undefined): Html | undefined => mine && html`<p class="yours"><span aria-hidden="true">${mine.verdict === 'approve' ? '✓' : '✕'}</span> You ${mine.verdict === 'approve' ? 'approved' : 'denied'} this, ${clock(mine.at)}.</p>`

/** Apart from the statement, and no part of what is approved. */
const opinions = ({ opinions: found = [] }: Hold): readonly Html[] =>
  found.map(({ advisor, text }) => html`<section class="card untrusted"><h2>${opinionLabel(advisor)}</h2><p class="hint"><span aria-hidden="true">!</span> ${opinionRemark}</p><blockquote>${said(text)}</blockquote></section>`)

const closing = ({ state, settledAt, outcome, votes: cast }: Hold): Html => {
  const yes = cast.some(({ brokeGlass }) => brokeGlass) ? 'It was released alone' : 'It was approved'
  const words: Partial<Record<Hold['state'], string>> = { denied: 'Somebody said no. It does not run.', expired: 'Nobody decided in time, or it was not run in time. It does not run.', withdrawn: 'Whoever asked took it back. It does not run.', running: `${yes} and runs now.`, executed: `${yes} and has run, once.`, failed: `${yes}, was started and failed.`, unknown: `${yes} and started, and nobody can say whether it had an effect. Look at the target itself.` }
  return html`${words[state] ?? stateText(state)}${settledAt !== undefined && outcome === undefined && html` <small>${clock(settledAt)}</small>`}`
}

const result = ({ outcome }: Hold): Html | undefined =>
  outcome &&
  html`<section class="card result r-${outcome.result}"><h2>Result</h2><dl><dt>Outcome</dt><dd>${outcome.result}</dd>${outcome.status !== undefined && html`<dt>Status</dt><dd>${said(outcome.status)}</dd>`}${outcome.rows !== undefined && html`<dt>Rows</dt><dd>${outcome.rows}</dd>`}${outcome.bytes !== undefined && html`<dt>Bytes</dt><dd>${outcome.bytes}</dd>`}${outcome.maskedValues !== undefined && html`<dt>Masked</dt><dd>${outcome.maskedValues} values</dd>`}<dt>Took</dt><dd>${outcome.ms < 10 ? outcome.ms.toFixed(1) : Math.round(outcome.ms)} ms</dd></dl></section>`

const votes = ({ hold }: HoldPage): Html => {
  const { given, needed } = votesOf(hold)
  const progress = progressOf(hold)
  return html`<section class="card"><h2>Votes <span class="count">${given} of ${needed}</span></h2>${progress.length > 1 && html`<ul class="progress">${progress.map(({ requirement, given: so }) => html`<li><span aria-hidden="true">${so >= requirement.count ? '✓' : '◔'}</span> ${so} of ${requirement.count}: ${approversIn(requirement).map(said).join(', ')}</li>`)}</ul>`}${hold.votes.length === 0 ? html`<p class="hint">Nobody has voted.</p>` : html`<ul class="votes">${hold.votes.map(({ verdict, by, channel, at, reason, brokeGlass, together }) => html`<li><span class="v-${brokeGlass ? 'deny' : verdict}"><span aria-hidden="true">${brokeGlass ? '▲' : verdict === 'approve' ? '✓' : '✕'}</span> ${brokeGlass ? 'Released alone' : verdict === 'approve' ? 'Yes' : 'No'}</span> <b>${personText(by)}</b> <small>${channel === 'automation' ? 'decided by an automation' : html`by ${channel}${together !== undefined && together > 1 && `, one of ${together} in one step`}`}, ${clock(at)}</small>${reason !== undefined && html`<blockquote>${said(reason)}</blockquote>`}</li>`)}</ul>`}</section>`
}

const timeline = (hold: Hold): Html => {
  const steps: { readonly at: number; readonly text: string }[] = [{ at: hold.openedAt, text: 'Asked for' }]
  for (const mark of marksOf(hold)) steps.push({ at: mark.at, text: markText(mark) })
  for (const { verdict, by, at, brokeGlass } of hold.votes) if (!brokeGlass) steps.push({ at, text: `${personText(by)} ${verdict === 'approve' ? 'approved' : 'denied'}` })
  if (hold.spent !== undefined) steps.push({ at: hold.spent.at, text: 'Released to run' })
  if (hold.settledAt !== undefined) steps.push({ at: hold.settledAt, text: stateText(hold.state) })
  const end = endOf(hold)
  return html`<section class="card"><h2>Timeline</h2><ol class="timeline">${steps.toSorted((a, b) => a.at - b.at).map(({ at, text }) => html`<li>${text} <small>${clock(at)}</small></li>`)}${end !== undefined && html`<li class="future">${hold.state === 'approved' ? 'Must run by' : 'Decide by'} <small>${clock(end)}</small></li>`}</ol>
${hold.waiting !== undefined && isOpen(hold.state) && html`<p class="hint">${hold.waiting ? 'The requester waits on its connection.' : hold.terms.run === 'when-approved' ? 'The requester does not wait on its connection.' : 'The requester has gone. Once approved it runs when the same is asked again.'}</p>`}
${hold.reaches !== undefined && hold.reaches.length > 0 && html`<p class="hint">${hold.reaches.map(({ channel, state }, at) => html`${at > 0 && ', '}${said(channel)}: ${state}`)}</p>`}</section>`
}

const record = ({ hold, url, receipt }: HoldPage): Html =>
  html`<section class="card"><h2>Record</h2><dl class="record"><dt>Digest</dt><dd><code>${hold.action.digest}</code></dd><dt>Hold</dt><dd><code>${hold.id}</code></dd><dt>Revision</dt><dd>${hold.revision}</dd></dl>
${receipt && receiptLink(hold.id, hold.code)}
<p class="hint">The same on the command line:</p><pre class="cli" tabindex="0">countersign holds show ${hold.id} --server ${url}</pre></section>`
