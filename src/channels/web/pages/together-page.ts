import type { Hold } from '../../../model/hold.ts'
import type { Refusal } from '../../../model/refusal.ts'
import { headline, personText, said, stateText, targetText } from '../../words.ts'
import { html, type Html } from './html.ts'
import type { Statement } from './statement.ts'
import { stateBadge, timeLeft } from './words.ts'

export interface PieceShown {
  readonly hold: Hold
  readonly statement: Statement
}

export interface TogetherPage {
  readonly pieces: readonly PieceShown[]
  /** With why, as the end of a sentence. */
  readonly leftOut: readonly { readonly hold: Hold; readonly why: string }[]
  /** Chosen, and not there for whoever looks. */
  readonly unknown: number
  readonly csrf: string
  readonly now: number
}

/** What differs in nothing but values stands together; what is like no other comes first, because it would be overlooked among them. */
const kindsOf = (pieces: readonly PieceShown[]): readonly (readonly PieceShown[])[] =>
  [...Map.groupBy(pieces, ({ hold }) => JSON.stringify([hold.caller.issuer, hold.caller.subject, hold.action.service, hold.action.shape])).values()].toSorted((a, b) => a.length - b.length)

/** Everything that one step would decide, each as on a page of its own; nothing counts before the form at its end is sent. */
export const togetherPage = ({ pieces, leftOut, unknown, csrf, now }: TogetherPage): Html => {
  const kinds = kindsOf(pieces)
  // Where all differ there is no crowd to hide in.
  const marked = kinds.length > 1 && kinds.some(({ length }) => length > 1)
  const asksReason = pieces.some(({ hold }) => hold.terms.askReason)
  return html`<article class="together">
<nav class="crumbs"><a href="/"><span aria-hidden="true">←</span> Approvals</a></nav>
<header class="head"><h1>${pieces.length === 0 ? 'Nothing to decide together' : `Decide ${pieces.length} together`}</h1>
<p class="lead">Each of them is a decision of its own, by its own digest. Look at each, and take the tick away from what you would rather decide by itself.</p></header>
${(leftOut.length > 0 || unknown > 0) && html`<section class="card left-out"><h2>Left out</h2><ul>${leftOut.map(({ hold, why }) => html`<li><a href="/holds/${hold.id}"><span class="code">${hold.code}</span> ${headline(hold)} ${targetText(hold)}</a>: ${why}</li>`)}${unknown > 0 && html`<li>${unknown} more that you may not see, or that are not there any more</li>`}</ul></section>`}
${pieces.length > 0 && html`<form method="post" action="/together" class="vote"><input type="hidden" name="csrf" value="${csrf}">
${kinds.map((kind) => html`<section class="kind-of">${marked && html`<p class="alike${kind.length === 1 && ' odd'}">${kind.length === 1 ? html`<span aria-hidden="true">!</span> Like no other of them` : `${kind.length} alike but for values`}</p>`}${kind.map((piece) => pieceMarkup(piece, now))}</section>`)}
<section class="card decide" id="decide"><h2>Your decision</h2>
<label for="reason">Reason${asksReason ? ' (a rule asks for one)' : ' (optional)'}, the same for all</label>
<textarea id="reason" name="reason" rows="3" maxlength="2000"${asksReason && html` required`} aria-describedby="reads"></textarea>
<p class="hint" id="reads">The requesters, also agents, read it.</p>
<div class="buttons"><button name="verdict" value="approve" class="approve">Approve what is ticked</button><button name="verdict" value="deny" class="deny">Deny what is ticked</button></div></section></form>`}
</article>`
}

const pieceMarkup = ({ hold, statement }: PieceShown, now: number): Html => html`<div class="piece" data-piece="${hold.id}">
<input type="hidden" name="digest.${hold.id}" value="${hold.action.digest}"><input type="hidden" name="revision.${hold.id}" value="${hold.revision}"><input type="hidden" name="shown.${hold.id}" value="${statement.shown}">
<h2><label class="check"><input type="checkbox" name="take.${hold.id}" value="yes" checked> <span class="code">${hold.code}</span> <span><span class="verb">${headline(hold)}</span> <span class="target">${targetText(hold)}</span></span></label></h2>
<p class="hint">${personText(hold.caller)}${hold.caller.onBehalfOf[0] && html` for ${personText(hold.caller.onBehalfOf[0])}`} at ${said(hold.action.service)}, ${timeLeft(hold.deadline, now)} · <a href="/holds/${hold.id}">its page</a></p>
<div class="statement">${statement.markup}</div></div>`

export interface TogetherResult {
  readonly id: string
  /** As it is now, as far as the viewer may see it. */
  readonly hold?: Hold | undefined
  readonly refusal?: Refusal | undefined
}

/** What became of each. */
export const togetherResultPage = ({ verdict, results }: { readonly verdict: 'approve' | 'deny'; readonly results: readonly TogetherResult[] }): Html => {
  const done = results.filter(({ refusal }) => refusal === undefined).length
  const row = ({ id, hold, refusal }: TogetherResult): Html =>
    html`<li><a href="/holds/${id}">${hold === undefined ? 'A hold' : html`<span class="code">${hold.code}</span> ${headline(hold)} ${targetText(hold)}`}</a> ${refusal === undefined ? html`${hold && stateBadge(hold.state)}${hold?.state === 'pending' && html` <small>others have to agree</small>`}` : html`<b>not decided</b>: ${refusal.message}${hold && html` <small>It is ${stateText(hold.state).toLowerCase()}.</small>`}`}</li>`
  return html`<article class="together"><nav class="crumbs"><a href="/"><span aria-hidden="true">←</span> Approvals</a></nav>
<header class="head"><h1>${results.length === 0 ? 'Nothing was ticked' : done === 0 ? 'Nothing was decided' : `You ${verdict === 'approve' ? 'approved' : 'denied'} ${done} of ${results.length}`}</h1></header>
${results.length > 0 && html`<section class="card"><ul class="fates">${results.toSorted((a, b) => Number(b.refusal !== undefined) - Number(a.refusal !== undefined)).map(row)}</ul></section>`}
<p><a class="button" href="/">Back to the approvals</a></p></article>`
}
