import type { IndexState } from '../../../audit/search/audit-search.ts'
import { hasRun, type Lineage, type LineageDeed } from '../../../audit/lineage/lineage.ts'
import type { Say, Tally } from '../../../audit/lineage/deed.ts'
import type { LineageNode } from '../../../audit/lineage/node.ts'
import type { LineageField } from '../../../audit/lineage/trace.ts'
import type { LineagePath } from '../../../audit/lineage/path.ts'
import { said, verbText } from '../../words.ts'
import { html, type Html } from './html.ts'
import { drawingOf } from './lineage-layout.ts'
import { narrowMap, wideMap } from './lineage-map.ts'
import { precise } from './audit-words.ts'

export interface LineagePage {
  /** What was typed, as it was typed. */
  readonly typed: ReadonlyMap<string, string>
  readonly found?: (Lineage & { readonly index: IndexState }) | undefined
  readonly path?: LineagePath | undefined
  readonly problem?: string
}

const texts: readonly (readonly [name: LineageField | 'from' | 'to', label: string, hint: string])[] = [
  ['who', 'Who', 'agent or person'],
  ['for', 'For whom', 'on behalf of'],
  ['on', 'On what', 'table, endpoint'],
  ['approver', 'Approver', 'who voted'],
  ['from', 'From', '7d, 2026-11-01'],
  ['to', 'Before', '2026-12-01'],
]
const more: readonly (readonly [name: LineageField | 'end', label: string, hint: string])[] = [
  ['what', 'Action', 'sql.delete'],
  ['service', 'Service', ''],
  ['end', 'Connected with', 'a second name'],
]

/** A node, with the time that was asked for kept. */
const linkOf = (typed: ReadonlyMap<string, string>) => (node: string): string => `/lineage?${new URLSearchParams([['node', node], ...timeIn(typed)])}`
const timeIn = (typed: ReadonlyMap<string, string>): [string, string][] => [...typed].filter(([name]) => name === 'from' || name === 'to')

export const lineagePage = ({ typed, found, path, problem }: LineagePage): Html => html`<section class="audit lineage">
<header class="inbox-head"><h1>Lineage</h1><p class="hint">Who touched what, for whom, and who said yes: drawn from the <a href="/audit">audit log</a>. Each look is on record.</p></header>
${form(typed)}
${problem !== undefined && html`<div class="alert" role="alert"><h2>Nothing was looked for</h2><p>${problem}</p></div>`}
${path && pathCard(path, typed)}
${found && results(found, typed)}
</section>`

const input = (typed: ReadonlyMap<string, string>) => ([name, label, hint]: readonly [string, string, string]): Html =>
  html`<p><label for="l-${name}">${label}</label><input id="l-${name}" name="${name}" value="${typed.get(name)}" maxlength="300" placeholder="${hint}" autocomplete="off" spellcheck="false"></p>`

const form = (typed: ReadonlyMap<string, string>): Html => html`<form class="card query" method="get" action="/lineage">
${typed.has('node') && html`<input type="hidden" name="node" value="${typed.get('node')}">`}
<div class="fields">${texts.map(input(typed))}</div>
<details${more.some(([name]) => typed.has(name)) && html` open`}><summary>More</summary><div class="fields">${more.map(input(typed))}</div>
<p class="hint">A value is words that stand one after the other: <code>alice</code>, <code>public.orders</code>. With <code>=</code> in front it is the whole of a name, with <code>*</code> at its end the beginning. Times are UTC, by whole hours. “Connected with” looks for the way from what is asked for to another account, session or table.</p></details>
<div class="buttons"><button>Show</button>${typed.size > 0 && html`<a class="quiet-link" href="/lineage">Clear</a>`}</div>
</form>`

const kindText = ({ kind, at }: LineageNode): string => [kind, at === '' ? '' : `${kind === 'session' ? 'of' : 'at'} ${said(at)}`].filter(Boolean).join(' ')

/** The records of a node, as a search. */
const recordsLink = ({ kind, name, id }: LineageNode, typed: ReadonlyMap<string, string>): string => {
  const [field, value]: [string, string] = id.startsWith('who-') ? ['who', `=${name}`] : kind === 'session' ? ['text', name] : kind === 'action' ? ['what', name.split(/[ +]/, 1)[0] ?? name] : ['on', name]
  return `/audit?${new URLSearchParams([[field, value], ...timeIn(typed)])}`
}

const results = (found: Lineage & { readonly index: IndexState }, typed: ReadonlyMap<string, string>): Html => {
  const nodes = new Map(found.nodes.map((node) => [node.id, node]))
  const about = typed.get('node') === undefined ? undefined : nodes.get(typed.get('node') ?? '')
  const link = linkOf(typed)
  const behind = found.index.bytes < found.index.ofBytes ? ` Indexed up to ${Math.floor((100 * found.index.bytes) / found.index.ofBytes)} % of the log.` : ''
  if (found.deeds.length === 0) return html`<div class="empty"><h2>Nothing is found</h2><p>Nothing like this is recorded${typed.has('from') ? ' in this time: look further back' : ''}.${behind}</p></div>`
  const view = { drawing: drawingOf(found), focus: new Set(found.focus), link }
  return html`${about && html`<section class="card about"><h2>${kindText(about)}</h2><p class="what">${said(about.name)}</p><p><a href="${recordsLink(about, typed)}">Its records</a></p></section>`}
<figure class="mapped card"><div class="scroll">${wideMap(view)}${narrowMap(view)}</div>
<figcaption class="hint">${legend('reads', 'reads')}${legend('writes', 'writes')}${legend('calls', 'calls')}${legend('plain idle', 'asked, did not run')}${found.flows.length > 0 && legend('flow', 'may have flowed')}<span>An arrow that is hollow: at least this; triggers, functions and what they reach are not seen.${behind}</span></figcaption></figure>
${deedTable(found, nodes, link)}
${flowList(found, nodes, link)}`
}

const legend = (kind: string, text: string): Html => html`<span class="key"><svg width="34" height="10" aria-hidden="true"><path class="k-${kind}" d="M1 5H33" stroke-width="2.4"/></svg>${text}</span>`

const ref = (node: LineageNode | undefined, link: (node: string) => string): Html | undefined => node && html`<a href="${link(node.id)}">${said(node.name)}</a>`

const sayText: Readonly<Record<Say, readonly [sign: string, words: string]>> = { yes: ['✓', 'yes'], no: ['✕', 'no'], alone: ['▲', 'broke the glass'], grant: ['✓', 'by a grant'] }
const shownTallies: readonly (readonly [Tally, string])[] = [['executed', 'executed'], ['failed', 'failed'], ['unknown', 'unknown'], ['held', 'held'], ['refused', 'refused']]

const cell = (label: string, value: Html): Html => html`<td data-label="${label}"><div>${value}</div></td>`

const deedTable = ({ deeds, counted }: Lineage, nodes: ReadonlyMap<string, LineageNode>, link: (node: string) => string): Html => html`<h2 class="found" id="deeds">${deeds.length} ${deeds.length === 1 ? 'kind' : 'kinds'} of action, the newest first${counted === 'more' && '. There are more than are shown: ask for less time'}</h2>
<table class="log"><thead><tr><th scope="col">Who</th><th scope="col">Action</th><th scope="col">Data</th><th scope="col">Said yes or no</th><th scope="col">How often</th><th scope="col">Records</th></tr></thead>
<tbody>${deeds.map((deed) => deedRow(deed, nodes, link))}</tbody></table>`

const deedRow = (deed: LineageDeed, nodes: ReadonlyMap<string, LineageNode>, link: (node: string) => string): Html => {
  const { who, chain, sessions, action, touches, says, tallies, records, first, last } = deed
  const node = nodes.get(action)
  const [verbs, ...rest] = (node?.name ?? '').split(' ')
  return html`<tr>
${cell('Who', html`${ref(nodes.get(who), link)}${chain.length > 0 && html` <small>for ${chain.map((one, at) => html`${at > 0 && ', for '}${ref(nodes.get(one), link)}`)}</small>`} <small>in ${sessions.length === 1 ? html`session ${ref(nodes.get(sessions[0] ?? ''), link)}` : `${sessions.length} sessions`}</small>`)}
${cell('Action', html`<a href="${link(action)}"><span class="verb">${(verbs ?? '').split('+').map(verbText).join(' + ')}</span> ${said(rest.join(' '))}</a>${node !== undefined && html` <small>at ${said(node.at)}</small>`}`)}
${cell('Data', html`<ul>${touches.map(({ node: data, access, confidence, columns }) => html`<li><span class="access a-${access === 'reads' ? 'read' : 'write'}">${access}</span> ${ref(nodes.get(data), link)}${confidence === 'least' && html` <span class="tag">at least</span>`}${columns.length > 0 && html` <small>${columns.slice(0, 6).map(said).join(', ')}${columns.length > 6 && ` and ${columns.length - 6} more`}</small>`}</li>`)}</ul>`)}
${cell('Votes', says.length === 0 ? html`` : html`<ul>${says.map(({ by, say, count, record }) => html`<li><span class="v-${say === 'no' || say === 'alone' ? 'deny' : 'approve'}"><span aria-hidden="true">${sayText[say][0]}</span> ${sayText[say][1]}</span> ${ref(nodes.get(by), link)}${count > 1 && ` ×${count}`} <small><a href="/audit/${record}">its record</a></small></li>`)}</ul>`)}
${cell('How often', html`${shownTallies.filter(([name]) => tallies[name] > 0).map(([name, words], at) => html`${at > 0 && html`<br>`}${tallies[name].toLocaleString('en-US')} ${words}`)}${!hasRun(tallies) && html` <small>did not run</small>`}`)}
${cell('Records', html`${precise(last)}${first.slice(0, 16) !== last.slice(0, 16) && html` <small>since ${precise(first)}</small>`}<small>${records.map((id, at) => html`${at > 0 && ', '}<a href="/audit/${id}">${id}</a>`)}</small>`)}
</tr>`
}

const flowList = ({ flows }: Lineage, nodes: ReadonlyMap<string, LineageNode>, link: (node: string) => string): Html | undefined =>
  flows.length === 0
    ? undefined
    : html`<section class="card flows"><h2>May have flowed</h2><p class="hint">Read, and later in the same session written elsewhere. Nobody has seen it flow: this is inferred from the session.</p>
<ul>${flows.slice(0, 40).map(({ from, to, through, records }) => html`<li>${ref(nodes.get(from), link)} <span aria-hidden="true">⇢</span><span class="heard">into</span> ${ref(nodes.get(to), link)} <small>in session ${ref(nodes.get(through), link)}, records <a href="/audit/${records[0]}">${records[0]}</a> and <a href="/audit/${records[1]}">${records[1]}</a></small></li>`)}</ul>${flows.length > 40 && html`<p class="hint">And ${flows.length - 40} more.</p>`}</section>`

const pathCard = ({ steps, looked }: LineagePath, typed: ReadonlyMap<string, string>): Html => html`<section class="card path"><h2>Connected?</h2>
${steps.length === 0 ? html`<p>${looked === 'cut' ? 'No way was found in what was looked at; there is more.' : 'No: nothing that is recorded leads from one to the other.'}</p>` : html`<ol>${steps.map(({ from, to, action, who, records }) => html`<li>${ref(from, linkOf(typed))} <span aria-hidden="true">─</span> <small>${said(who.name)}: ${said(action.name)}, ${records.map((id, at) => html`${at > 0 && ', '}<a href="/audit/${id}">${id}</a>`)}</small> <span aria-hidden="true">→</span> ${ref(to, linkOf(typed))}</li>`)}</ol>`}</section>`
