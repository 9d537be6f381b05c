import type { History, Hold, HoldState } from '../../../model/hold.ts'
import { personText, said, stateText } from '../../words.ts'
import { html, type Html } from './html.ts'
import { clock, stateBadge } from './words.ts'

const total = (tally: History['alike']): number => Object.values(tally).reduce((sum, count) => sum + count, 0)

const tallyText = (tally: History['alike']): string =>
  (Object.entries(tally) as [HoldState, number][])
    .toSorted(([, a], [, b]) => b - a)
    .map(([state, count]) => `${count} ${stateText(state).toLowerCase()}`)
    .join(', ')

/** What the requester asked here before: whether this is usual. */
export const historyCard = ({ history }: Hold): Html | undefined => {
  if (history === undefined) return undefined
  const { alike, others, since, complete, last, denied } = history
  const [like, other] = [total(alike), total(others)]
  return html`<section class="card history"><h2>Asked before</h2>${denied && html`<p class="warn"><span aria-hidden="true">✕</span> <b>${personText(denied.by)} said no</b> to the same, <a href="/holds/${denied.id}" class="code">${denied.code}</a>, ${clock(denied.at)}${denied.reason === undefined ? '.' : ':'}</p>${denied.reason !== undefined && html`<blockquote>${said(denied.reason)}</blockquote>`}`}${like + other === 0 ? html`<p>Nothing by this requester here${!complete && ' lately'}, as far as you may see.</p>` : html`<dl>
<dt>Like this</dt><dd>${like === 0 ? html`<b>never</b>` : html`${like}: ${tallyText(alike)}`}</dd>
${last && html`<dt>The last</dt><dd><a href="/holds/${last.id}" class="code">${last.code}</a> ${stateBadge(last.state)} <small>${clock(last.openedAt)}</small></dd>`}
<dt>Other</dt><dd>${other === 0 ? 'nothing' : html`${other}: ${tallyText(others)}`}</dd>
</dl><p class="hint">${complete ? 'What is kept' : `The latest ${like + other}`} of this requester at this service${since !== undefined && html`, since ${clock(since)}`}. Like this: it differs in values alone.</p>`}</section>`
}
