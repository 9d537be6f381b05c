import { deedOf } from '../../../audit/lineage/deed.ts'
import type { FoundRecord } from '../../../audit/search/audit-search.ts'
import type { RecordData } from '../../../audit/record-data.ts'
import { summaryOf } from '../../../audit/search/summary.ts'
import { visible } from '../../../lib/visible.ts'
import { said, verbText } from '../../words.ts'
import type { ProofReport } from '../audit-desk.ts'
import { precise, stepText, typeText } from './audit-words.ts'
import { html, type Html } from './html.ts'
import { reasonsCard } from './reasons-card.ts'
import { receiptLink } from './receipt-link.ts'
import { lineageLinks } from './lineage-links.ts'

export interface RecordPage {
  readonly record: FoundRecord
  /** All of the same action, in their order. */
  readonly all: readonly FoundRecord[]
  /** What came of checking it, where it was asked for. */
  readonly proof?: ProofReport | undefined
  /** Its hold, where the viewer may see that, too. */
  readonly hold?: string | undefined
  /** Whether there are receipts here. */
  readonly receipt: boolean
}

const dataOf = ({ text }: FoundRecord): RecordData => JSON.parse(text) as RecordData

export const recordPage = (about: RecordPage): Html => {
  const { record, all } = about
  const data = dataOf(record)
  const { who, verb, service, on, rules, approvers, outcome, ...summary } = summaryOf(data, all.map(dataOf))
  return html`<article class="hold">
<nav class="crumbs"><a href="/audit"><span aria-hidden="true">←</span> Audit log</a></nav>
<header class="head"><div class="states"><span class="badge">${typeText(data['type'])}</span>${summary.code !== undefined && html`<span class="code">${said(summary.code)}</span>`}<span>${precise(data['time'])} UTC</span></div>
<h1>${verb === undefined ? stepText(data) : html`<span class="verb">${verbText(verb)}</span> <span class="target">${said(on[0] ?? service ?? '')}</span>`}</h1>
${who !== undefined && html`<p class="lead">${said(who)}${summary.for !== undefined && ` for ${said(summary.for)}`}${service !== undefined && html` at <b>${said(service)}</b>`}</p>`}</header>
<div class="columns">
<div class="statement">
<section class="card"><h2>What happened</h2><ol class="timeline">${all.map((one) => step(one, one.id === record.id))}</ol></section>
${reasonsCard(data, all.map(dataOf), [record, ...all].find((one) => dataOf(one)['reasons'] !== undefined)?.id ?? record.id)}
<section class="card"><h2>The record</h2><pre class="pattern" tabindex="0" aria-label="The record as it stands in the log">${visible(JSON.stringify(data, undefined, 2))}</pre></section>
</div>
<aside aria-label="Proof and facts">
${proofCard(about)}
<section class="card"><h2>Facts</h2><dl>${fact('Outcome', outcome)}${fact('Rule', rules.join(', '))}${fact('Approvers', approvers.map(({ name, verdict }) => `${name} (${verdict === 'approve' ? 'yes' : 'no'})`).join(', '))}${fact('On', on.join(', '))}${fact('Record', record.id)}</dl>
${about.hold !== undefined && html`<p><a href="/holds/${about.hold}">Open the hold</a></p>`}${about.receipt && receiptOf(data)}</section>
${lineageLinks(all.map(dataOf).toReversed().find((one) => deedOf(one) !== undefined) ?? data)}
</aside>
</div>
</article>`
}

const fact = (name: string, value: string | undefined): Html | undefined => (value === undefined || value === '' ? undefined : html`<dt>${name}</dt><dd>${said(value)}</dd>`)

/** Of an action, by its hold or its only try. */
const receiptOf = (data: RecordData): Html | undefined => {
  const name = data['hold'] ?? data['attempt']
  return typeof name === 'string' && /^[A-Za-z0-9_-]{1,150}$/.test(name) ? receiptLink(name, name) : undefined
}

const step = (one: FoundRecord, isThis: boolean): Html => {
  const data = dataOf(one)
  const reason = typeof data['vote'] === 'object' ? (data['vote'] as RecordData | null)?.['reason'] : undefined
  return html`<li${isThis && html` aria-current="true"`}>${isThis ? html`<b>${stepText(data)}</b>` : html`<a href="/audit/${one.id}">${stepText(data)}</a>`} <small>${precise(data['time'])}, ${typeText(data['type']).toLowerCase()}</small>${typeof reason === 'string' && html`<blockquote>${said(reason)}</blockquote>`}</li>`
}

const proofCard = ({ record: { id }, proof }: RecordPage): Html => html`<section class="card proof" id="proof"><h2>Proof</h2>
${proof === undefined ? html`<p>Is this record one of those that were signed, and unchanged?</p>` : verdict(proof)}
<form method="get" action="/audit/${id}/verify"><button>${proof === undefined ? 'Verify' : 'Verify again'}</button></form>
<p class="hint">On the machine that has the log, without asking this server:</p><pre class="cli" tabindex="0">countersign audit prove ${id}</pre></section>`

const verdict = (proof: ProofReport): Html => {
  if (proof.verdict === 'proved') return html`<p class="proved" role="status"><span aria-hidden="true">✓</span> <b>It is what was signed.</b> It is one of the ${proof.size.toLocaleString('en-US')} records of <code>${said(proof.origin)}</code> that this deployment has signed.</p><details><summary>The proof</summary><pre class="pattern" tabindex="0" aria-label="The proof">${visible(proof.proof)}</pre></details>`
  if (proof.verdict === 'unsigned') return html`<p class="warn" role="status"><b>Nothing is signed behind it yet.</b> A signature follows within a second or so: verify again. If that stays so, the replica that wrote it has ended without one.</p>`
  return html`<p class="warn" role="status"><b>✕ It is not what was signed.</b> ${said(proof.problem)}. Run <code>countersign audit verify</code> to see where the log was changed.</p>`
}
