import { hash } from 'node:crypto'
import { dottedSegments } from '../../../lib/dotted-name.ts'
import { plainView } from '../../../lib/plain-view.ts'
import { isPlan, type Action, type ActionPart, type Resource } from '../../../model/action.ts'
import { approversIn, type Requirement } from '../../../model/decision.ts'
import type { Hold } from '../../../model/hold.ts'
import { ruseText } from '../../ruses.ts'
import { accountText, impactText, said, spanText, verbText } from '../../words.ts'
import { html, type Html } from './html.ts'
import { markedText, type MarkText } from './marked-text.ts'
import { clock } from './words.ts'

/** Named in every vote beside the hash of what was shown. To be raised with every change of what this file, or anything it uses, renders. */
const rendering = 'console/3'

/** What somebody decides on, made of the record alone: the same hold at the same revision always gives the same bytes, whoever looks and whenever. */
export interface Statement {
  readonly markup: Html
  /** `console/3 sha256:…` over the markup. */
  readonly shown: string
}

const mostResources = 40

export const makeStatement = async (hold: Hold, markSql: MarkText | undefined): Promise<Statement> => {
  const { action } = hold
  const { ruses } = plainView(action.text)
  const markup = html`<section class="card text"><h2>The exact action</h2>
${isPlan(action) ? await steps(action, markSql) : await markedText(action.protocol, action.text, markSql)}
${ruses.length > 0 && html`<p class="warn"><span aria-hidden="true">!</span> <b>${ruseText(ruses)}</b></p>`}
${action.textCut && html`<p class="warn"><span aria-hidden="true">!</span> <b>There is more to this action than is shown here.</b> It cannot be approved by what can be seen of it.</p>`}
</section>
${touched(hold)}
<section class="card"><h2>Why it waits</h2>${rules(hold)}<p class="needs"><b>Needs</b> ${hold.terms.requirements.map((requirement, at) => html`${at > 0 && ', and '}${needText(requirement)}`)}</p></section>
<section class="card"><h2>Who asks</h2>${chain(hold)}</section>
${hold.statedReason !== undefined && html`<section class="card untrusted"><h2>What the requester says</h2><p class="hint"><span aria-hidden="true">!</span> Words of the requester. Nobody has checked them.</p><blockquote>${said(hold.statedReason)}</blockquote></section>`}`
  return { markup, shown: `${rendering} sha256:${hash('sha256', `${rendering}\n${hold.action.digest}\n${markup.toString()}`)}` }
}

/** Statements that run one by one, each with what it does; and the text as it was announced. */
const steps = async (action: Action, markSql: MarkText | undefined): Promise<Html> => {
  const { parts = [], protocol, text } = action
  const each = await Promise.all(parts.map(async (part) => html`<li><p class="step">${stepText(part)}</p>${await markedText(protocol, part.text ?? '', markSql)}</li>`))
  return html`<p class="hint">A plan of ${parts.length} statements: they run in this order, one by one, to the letter, and all of them or none.</p><ol class="steps">${each}</ol><details><summary>As it was announced</summary>${await markedText(protocol, text, markSql)}</details>`
}

const stepText = ({ verbs, resources, impact }: ActionPart): Html => {
  const tables = resources.filter(({ kind }) => kind === 'table')
  const rows = impactText(impact)
  return html`<b>${verbs.slice(0, 3).map(verbText).join(' + ')}</b>${tables.slice(0, mostResources).map(({ name, access, tags }) => html` <span class="access a-${access}">${access === 'write' ? 'Writes' : 'Reads'}</span> <code>${said(name)}</code>${tags.map((tag) => html` <span class="tag">${said(tag)}</span>`)}`)}${tables.length > mostResources && ` and ${tables.length - mostResources} more`}${rows !== undefined && html` <span class="${impact?.unfiltered === true ? 'every' : 'rows'}">${rows}</span>`}`
}

const touched = ({ action, terms }: Hold): Html => {
  const { impact, tags } = action
  const { drift } = terms
  const limits = drift && [drift.factor === undefined ? '' : `${drift.factor} times as many rows`, drift.rows === undefined ? '' : `${drift.rows} rows more`].filter(Boolean).join(', or ')
  return html`<section class="card impact${impact?.unfiltered === true && ' grave'}"><h2>What it touches</h2>
${resourceList(action.resources)}
<dl>
${impact && html`<dt>Rows</dt><dd>${impactText({ ...impact, unfiltered: false }) ?? 'nobody can say how many'}${impact.exactRows === undefined ? impact.estimatedRows !== undefined && html` <small>says the planner</small>` : html` <small>counted when it was asked for</small>`}</dd>`}
${impact?.unfiltered !== undefined && html`<dt>Which</dt><dd>${impact.unfiltered ? html`<b class="every"><span aria-hidden="true">▲</span> Every row: it has no WHERE that leaves anything out</b>` : 'those that its WHERE lets through'}</dd>`}
${tags.length > 0 && html`<dt>Data</dt><dd>${tags.map((tag) => html`<span class="tag">${said(tag)}</span> `)}</dd>`}
${impact?.keepsLocks === true && html`<dt>Locks</dt><dd>others wait for locks that it keeps while it is held</dd>`}
${impact?.notes.map((note) => html`<dt>Note</dt><dd>${said(note)}</dd>`)}
${limits && html`<dt>Stops</dt><dd>if, by the time it runs, it would change ${limits} than is shown</dd>`}
</dl></section>`
}

const resourceList = (resources: readonly Resource[]): Html | undefined => {
  const named = resources.filter(({ kind }) => kind !== 'column').toSorted((a, b) => Number(b.access === 'write') - Number(a.access === 'write'))
  const columns = resources.filter(({ kind }) => kind === 'column')
  if (named.length === 0) return undefined
  const within = (table: string): readonly Resource[] => columns.filter(({ name }) => dottedSegments(name).slice(0, -1).join('.') === table)
  const word = ({ kind, access }: Resource): string => (kind === 'function' ? 'Calls' : access === 'write' ? 'Writes' : 'Reads')
  return html`<ul class="resources">
${named.slice(0, mostResources).map((resource) => html`<li><span class="access a-${resource.access}">${word(resource)}</span> <code>${said(resource.name)}</code>${resource.tags.map((tag) => html` <span class="tag">${said(tag)}</span>`)}${columnList(within(resource.name))}</li>`)}
${named.length > mostResources && html`<li>and ${named.length - mostResources} more</li>`}
</ul>`
}

const columnList = (columns: readonly Resource[]): Html | undefined =>
  columns.length === 0 ? undefined : html`<small class="columns">${columns.slice(0, mostResources).map(({ name, tags }, at) => html`${at > 0 && ', '}${said(dottedSegments(name).at(-1) ?? name)}${tags.length > 0 && ` (${tags.map(said).join(', ')})`}`)}${columns.length > mostResources && ` and ${columns.length - mostResources} more`}</small>`

/** The caller, and behind it everybody it acts for; each with who answers for it. */
const chain = ({ caller, openedAt, action }: Hold): Html => {
  const link = (who: (typeof caller.onBehalfOf)[number], lead: string): Html =>
    html`<li><span class="kind">${lead}${who.kind}</span> <b>${accountText(who)}</b><small>at ${said(who.issuer)}${who.clientId !== undefined && who.clientId !== who.subject && `, by the client ${said(who.clientId)}`}${who.owner && `, owned by ${said(who.owner.subject)}`}</small></li>`
  return html`<ol class="chain">${link(caller, '')}${caller.onBehalfOf.map((who) => link(who, 'on behalf of '))}</ol>
<dl><dt>Where</dt><dd>${said(action.service)}${action.place && html`: database <b>${said(action.place.database)}</b> as <b>${said(action.place.role)}</b>`}</dd><dt>From</dt><dd>${said(caller.address)}</dd><dt>Asked at</dt><dd>${clock(openedAt)}</dd></dl>`
}

const rules = ({ matched, policyVersion }: Hold): Html =>
  html`<ul class="rules">${matched.filter(({ then, observed }) => then === 'hold' && !observed).map(({ policy, rule, because, at }) => html`<li>${because !== undefined && html`<p class="because">${said(because)}</p>`}<small>rule <b>${said(policy)}/${said(rule)}</b> in ${said(at.slice(at.lastIndexOf('/') + 1))}</small></li>`)}</ul><p class="hint">policy version <code>${said(policyVersion.slice(0, 19))}</code></p>`

const assurances = { chat: '', console: '', passkey: ' with a passkey' } as const

const needText = (requirement: Requirement): Html => html`<b>${requirement.count}</b> of ${approversIn(requirement).map(said).join(', ')}${assurances[requirement.assurance]}${requirement.channels && `, through ${requirement.channels.join(' or ')}`}${requirement.freshLoginMs !== undefined && `, signed in again within ${spanText(requirement.freshLoginMs)}`}${requirement.escalation && ` (${spanText(requirement.escalation.afterMs)} after it was asked for, also ${approversIn(requirement.escalation).map(said).join(', ')})`}`

export const runText = ({ terms }: Hold): string => (terms.run === 'when-approved' ? 'It runs as soon as it is approved.' : `Once approved, whoever asked has ${spanText(terms.runWithinMs)} to run it, once.`)
