import type { FoundPage, Hit, IndexState } from '../../../audit/search/audit-search.ts'
import type { RecordData } from '../../../audit/record-data.ts'
import type { SearchField } from '../../../audit/search/fields.ts'
import { said, verbText } from '../../words.ts'
import { html, type Html } from './html.ts'
import { precise, stepText, typeText } from './audit-words.ts'

export interface AuditPage {
  /** What was typed, as it was typed. */
  readonly typed: ReadonlyMap<string, string>
  readonly found?: FoundPage & { readonly index: IndexState }
  /** Why nothing was looked for. */
  readonly problem?: string
}

const texts: readonly (readonly [name: SearchField, label: string, hint: string])[] = [
  ['who', 'Who', 'name, e-mail'],
  ['for', 'For whom', 'on behalf of'],
  ['on', 'On what', 'table, endpoint'],
  ['approver', 'Approver', 'who voted'],
]
const more: readonly (readonly [name: SearchField, label: string, hint: string])[] = [
  ['what', 'Action', 'sql.delete'],
  ['service', 'Service', ''],
  ['tag', 'Data', 'pii'],
  ['rule', 'Rule', 'policy/rule'],
  ['outcome', 'Outcome', 'executed'],
  ['type', 'Kind of record', 'voted'],
  ['case', 'Case', 'CS-7F3K'],
]

const linkTo = (name: SearchField, value: string): string => `/audit?${new URLSearchParams({ [name]: `=${value}` })}`

export const auditPage = ({ typed, found, problem }: AuditPage): Html => html`<section class="audit">
<header class="inbox-head"><h1>Audit log</h1>${found && html`<p class="hint">${reach(found.index)}</p>`}</header>
${form(typed)}
${problem !== undefined && html`<div class="alert" role="alert"><h2>Nothing was looked for</h2><p>${problem}</p></div>`}
${found && results(found, typed)}
</section>`

const reach = ({ records, until, bytes, ofBytes, unreadable }: IndexState): string => {
  const whole = `${records.toLocaleString('en-US')} records${until === undefined ? '' : `, the newest of ${until.slice(0, 19).replace('T', ' ')} UTC`}.`
  const rest = bytes >= ofBytes ? '' : ` Indexed up to ${Math.floor((100 * bytes) / ofBytes)} % of the log; the rest is not found yet.`
  return `${whole}${rest}${unreadable === 0 ? '' : ` ${unreadable} lines do not read: countersign audit verify says where.`} Each search is on record.`
}

const input = (typed: ReadonlyMap<string, string>) => ([name, label, hint]: readonly [string, string, string]): Html =>
  html`<p><label for="a-${name}">${label}</label><input id="a-${name}" name="${name}" value="${typed.get(name)}" maxlength="300" placeholder="${hint}" autocomplete="off" spellcheck="false"></p>`

const moment = (typed: ReadonlyMap<string, string>, name: 'from' | 'to', label: string): Html => html`<p><label for="a-${name}">${label}</label><input id="a-${name}" name="${name}" value="${typed.get(name)}" maxlength="40" placeholder="${name === 'from' ? '7d, 2026-11-01' : '2026-12-01'}" autocomplete="off"></p>`

const form = (typed: ReadonlyMap<string, string>): Html => html`<form class="card query" method="get" action="/audit">
<p class="wide"><label for="a-text">Words</label><input id="a-text" name="text" value="${typed.get('text')}" maxlength="300" placeholder="anywhere in a record; in quotes one after the other; inv* for a beginning" autocomplete="off" spellcheck="false"></p>
<div class="fields">${texts.map(input(typed))}${moment(typed, 'from', 'From')}${moment(typed, 'to', 'Before')}</div>
<details${more.some(([name]) => typed.has(name)) && html` open`}><summary>More</summary><div class="fields">${more.map(input(typed))}</div>
<p class="hint">A value is words that stand one after the other: <code>alice</code>, <code>public.orders</code>. With <code>=</code> in front it is the whole of it, with <code>*</code> at its end the beginning. A case is always whole. Times are UTC.</p></details>
<div class="buttons"><button>Search</button>${typed.size > 0 && html`<a class="quiet-link" href="/audit">Clear</a>`}</div>
</form>`

const results = ({ records, count, counted, next }: FoundPage, typed: ReadonlyMap<string, string>): Html => {
  if (records.length === 0) return html`<div class="empty"><h2>Nothing is found</h2><p>${typed.size === 0 ? 'Nothing is recorded yet.' : 'No record says all of this. Take something away, or ask for the beginning of a word: inv*'}</p></div>`
  const older = next === undefined ? undefined : `/audit?${new URLSearchParams([...[...typed].filter(([name]) => name !== 'after'), ['after', next]])}`
  return html`<p class="hint found">${counted === 'more' ? 'More than ' : ''}${count.toLocaleString('en-US')} ${count === 1 ? 'record' : 'records'}, the newest first. ${exportLinks(typed)}</p>
<table class="log"><thead><tr><th scope="col">Time, UTC</th><th scope="col">Record</th><th scope="col">Who</th><th scope="col">Action</th><th scope="col">Rule</th><th scope="col">Approvers</th><th scope="col">Outcome</th></tr></thead>
<tbody>${records.map(row)}</tbody></table>
${(older !== undefined || typed.has('after')) && html`<nav class="pages" aria-label="Pages">${typed.has('after') && html`<a href="/audit?${new URLSearchParams([...typed].filter(([name]) => name !== 'after')).toString()}">Newest</a>`}${older !== undefined && html`<a href="${older}">Older</a>`}</nav>`}`
}

/** What was asked and no page of it: an export is of all that is found. */
const exportLinks = (typed: ReadonlyMap<string, string>): Html => {
  const asked = new URLSearchParams([...typed].filter(([name]) => name !== 'after' && name !== 'limit'))
  const link = (format: 'log' | 'ocsf', text: string): Html => html`<a href="/api/audit/export?${new URLSearchParams([...asked, ['format', format]]).toString()}" download>${text}</a>`
  return html`${link('log', 'Export')} ${link('ocsf', 'Export as OCSF')}`
}

const named = (name: SearchField, value: string): Html => html`<a href="${linkTo(name, value)}">${said(value)}</a>`

const good = new Set(['executed', 'approved', 'allow', 'released', 'started'])
const bad = new Set(['failed', 'deny', 'denied', 'unknown', 'expired', 'not-eligible', 'self-approval'])
const outcomeBadge = (outcome: string): Html => html`<span class="badge ${good.has(outcome) ? 's-executed' : bad.has(outcome) ? 's-denied' : outcome === 'waiting' ? 's-pending' : ''}"><span aria-hidden="true">${good.has(outcome) ? '✓' : bad.has(outcome) ? '✕' : outcome === 'waiting' ? '◔' : '·'}</span> ${said(outcome)}</span>`

const shownTargets = 2

/** One child, so that on a phone it stands beside its name. */
const cell = (label: string, value: Html): Html => html`<td data-label="${label}"><div>${value}</div></td>`

const row = ({ id, text, summary }: Hit): Html => {
  const record = JSON.parse(text) as RecordData
  const { who, verb, service, on, rules, approvers, outcome, code } = summary
  return html`<tr>
${cell('Time', html`<a href="/audit/${id}">${precise(record['time'])}</a>`)}
${cell('Record', html`${typeText(record['type'])}${code !== undefined && html` <a class="code" href="/audit?case=${encodeURIComponent(code)}">${said(code)}</a>`}`)}
${cell('Who', html`${who !== undefined && named('who', who)}${summary.for !== undefined && html` <small>for ${named('for', summary.for)}</small>`}`)}
${cell('Action', html`${verb === undefined ? html`<span class="plain">${stepText(record)}</span>` : html`<span class="verb">${verbText(verb)}</span> ${on.slice(0, shownTargets).map((target, at) => html`${at > 0 && ', '}${named('on', target)}`)}${on.length > shownTargets && ` and ${on.length - shownTargets} more`}${service !== undefined && html` <small>at ${said(service)}</small>`}`}`)}
${cell('Rule', html`${rules.slice(0, 2).map((rule, at) => html`${at > 0 && html`<br>`}${named('rule', rule)}`)}`)}
${cell('Approvers', html`${approvers.map(({ name, verdict }, at) => html`${at > 0 && html`<br>`}<span class="v-${verdict === 'approve' ? 'approve' : 'deny'}" aria-hidden="true">${verdict === 'approve' ? '✓' : '✕'}</span><span class="heard">${verdict === 'approve' ? 'yes' : 'no'}</span> ${named('approver', name)}`)}`)}
${cell('Outcome', html`${outcome !== undefined && outcomeBadge(outcome)}`)}
</tr>`
}
