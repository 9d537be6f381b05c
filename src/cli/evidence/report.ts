import { hash } from 'node:crypto'
import { html, Html } from '../../channels/web/pages/html.ts'
import { said, verbText } from '../../channels/words.ts'
import type { LogReport } from '../../audit/log-report.ts'
import { endStateOf, stateOf, type CaseRow } from './case-row.ts'
import { columns, number, stripe, type Column, type Part } from './charts.ts'
import { controls, frameworkNames, sections, type Framework } from './controls.ts'
import { exceptionKinds, gravityOf, type Exception, type ExceptionKind } from './exceptions.ts'
import type { PolicyChange, Start } from './gathering.ts'
import { reportStyle } from './report-style.ts'
import type { Tally } from './tally.ts'

export interface Sampled {
  readonly row: CaseRow
  readonly folder: string
  /** What happened, one line a record. */
  readonly steps: readonly string[]
  readonly proved: number
}

export interface ReportParts {
  readonly deployment: string
  readonly framework: Framework
  readonly from: number
  readonly to: number
  readonly made: number
  readonly by: string
  readonly program: string
  readonly seed: string
  readonly tally: Tally
  /** The first of each kind, and how many there are of it. */
  readonly exceptions: readonly Exception[]
  readonly counts: ReadonlyMap<ExceptionKind, number>
  readonly reports: readonly LogReport[]
  readonly starts: readonly Start[]
  readonly policies: readonly PolicyChange[]
  readonly policyTexts: string
  readonly sample: readonly Sampled[]
  readonly keys: readonly string[]
  readonly populationHash: string
}

const tones: Readonly<Record<string, string>> = { approved: 'c-good', denied: 'c-bad', expired: 'c-calm', withdrawn: 'c-cold', open: 'c-wait', executed: 'c-good', failed: 'c-bad', unknown: 'c-wait', running: 'c-cold', 'not executed': 'c-calm', allowed: 'c-good', granted: 'c-cold', 'denied by a rule': 'c-bad', refused: 'c-calm' }
const partsOf = (counts: Readonly<Record<string, number>>): readonly Part[] => Object.entries(counts).map(([name, count]) => ({ name, tone: tones[name] ?? 'c-calm', count }))

const day = (at: number): string => new Date(at).toISOString().slice(0, 10)
const clock = (at: string): string => at.slice(0, 19).replace('T', ' ')
const seconds = (ms: number | undefined): string => (ms === undefined ? '' : ms < 60_000 ? `${(ms / 1_000).toFixed(1)} s` : `${Math.round(ms / 6_000) / 10} min`)
const mark = (good: boolean): Html => html`<span class="badge ${good ? 'good' : 'grave'}">${good ? '✓ holds' : '✕ does not hold'}</span>`

export const reportPage = (about: ReportParts): string => {
  const style = new Html(reportStyle)
  const { deployment, framework, from, to } = about
  return `<!doctype html>\n${html`<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-${hash('sha256', reportStyle, 'base64')}'; base-uri 'none'; form-action 'none'">
<title>Evidence: ${deployment}, ${day(from)} to ${day(to)}</title><style>${style}</style></head><body><main>
<p class="kicker">Countersign evidence pack</p>
<h1>${deployment}<br>${day(from)} to ${day(to)}</h1>
<p class="lead">Produces evidence for controls of ${frameworkNames[framework]}. Times are UTC; the period ends before ${clock(new Date(to).toISOString())}.</p>
<nav aria-label="Parts">${Object.entries(sections).map(([id, name]) => html`<a href="#${id}">${name}</a>`)}<a href="#controls">Controls</a><a href="#verify">Verify it yourself</a></nav>
${summary(about)}${exceptions(about)}${counts(about)}${people(about)}${sample(about)}${policies(about)}${completeness(about)}${population(about)}${mapping(about)}${verifying(about)}
<footer>Made ${clock(new Date(about.made).toISOString())} by ${said(about.by)} with ${about.program}. It says what is on record, and judges nobody: whether a control is met is for whoever audits it. This page is one of the files of <code>manifest.dsse.json</code>.</footer>
</main></body></html>`.toString()}\n`
}

const summary = ({ tally, counts: found, reports }: ReportParts): Html => {
  const grave = [...found].filter(([kind]) => gravityOf[kind] === 'grave').reduce((sum, [, count]) => sum + count, 0)
  const look = [...found].filter(([kind]) => gravityOf[kind] === 'look').reduce((sum, [, count]) => sum + count, 0)
  const whole = reports.length > 0 && reports.every(({ finding, signed }) => finding === undefined && signed > 0)
  const balanced = tally.equations().every(({ left, right }) => left === right)
  return html`<div class="tiles"><div class="tile ${grave > 0 ? 'grave' : 'good'}"><b>${number(grave)}</b>exceptions that need an answer</div><div class="tile${look > 0 && ' look'}"><b>${number(look)}</b>exceptions to look at</div><div class="tile"><b>${number(tally.cases)}</b>actions, ${number(tally.holds)} of them held for people</div><div class="tile ${whole ? 'good' : 'grave'}"><b>${whole ? '✓' : '✕'}</b>${whole ? 'the log is what was signed' : 'the log is not whole'}</div><div class="tile ${balanced ? 'good' : 'grave'}"><b>${balanced ? '✓' : '✕'}</b>${balanced ? 'the counts reconcile' : 'the counts do not reconcile'}</div></div>`
}

const exceptions = ({ exceptions: found, counts: totals }: ReportParts): Html => {
  const kinds = (Object.keys(exceptionKinds) as ExceptionKind[]).toSorted((a, b) => order(a) - order(b))
  const none = kinds.filter((kind) => (totals.get(kind) ?? 0) === 0)
  return html`<h2 id="exceptions">Exceptions</h2><p class="soft">What differs from the rule, the gravest first. All of them, with their records, are in <code>exceptions.ndjson</code>.</p>
${kinds.filter((kind) => !none.includes(kind)).map((kind) => {
    const own = found.filter((one) => one.kind === kind)
    const total = totals.get(kind) ?? 0
    return html`<h3><span class="badge ${gravityOf[kind]}">${number(total)}</span> ${kind.charAt(0).toUpperCase() + kind.slice(1)}</h3><p class="soft">${exceptionKinds[kind]}.</p><table class="stack three"><tbody>${own.map(({ at, name, text }) => html`<tr><td class="t">${clock(at)}</td><td><code>${said(name)}</code></td><td>${said(text)}</td></tr>`)}</tbody></table>${total > own.length && html`<p class="soft">${number(total - own.length)} more of this kind are in the file.</p>`}`
  })}
${none.length > 0 && html`<p class="verdict">Looked for and not found: ${none.join(', ')}.</p>`}`
}
const order = (kind: ExceptionKind): number => ['grave', 'look', 'note'].indexOf(gravityOf[kind])

/** So many columns at most: days, or as many of them together as it takes. */
const mostColumns = 45

const overTime = ({ tally, from, to }: ReportParts): Html => {
  const days = [...tally.byDay].toSorted(([a], [b]) => (a < b ? -1 : 1))
  if (days.length === 0) return html`<p class="soft">Nothing was held in this time.</p>`
  const [first, last] = [Math.max(from, Date.parse(days[0]?.[0] ?? '')), Math.min(to - 1, Date.parse(days.at(-1)?.[0] ?? '') + 86_399_999)]
  const begin = Date.parse(day(first))
  const span = Math.max(1, Math.ceil((last - begin + 1) / 86_400_000))
  const together = Math.ceil(span / mostColumns)
  const all: Column[] = Array.from({ length: Math.ceil(span / together) }, (_, at) => {
    const [start, end] = [begin + at * together * 86_400_000, begin + (at + 1) * together * 86_400_000]
    const sum: Record<string, number> = { approved: 0, denied: 0, expired: 0, withdrawn: 0, open: 0 }
    for (const [name, states] of days) if (Date.parse(name) >= start && Date.parse(name) < end) for (const [state, count] of Object.entries(states)) sum[state] = (sum[state] ?? 0) + count
    return { name: day(start).slice(5), parts: partsOf(sum) }
  })
  return html`<h3>Held actions ${together === 1 ? 'by day' : `by ${together} days`}</h3>${columns(all, 'Held actions over time')}<p class="soft">Colours as above.</p>`
}

const edges = [1_000, 3_000, 10_000, 30_000, 60_000, 300_000, 600_000]
const edgeNames = ['<1 s', '1–3 s', '3–10 s', '10–30 s', '30–60 s', '1–5 min', '5–10 min', 'longer']

const counts = (about: ReportParts): Html => {
  const { tally } = about
  return html`<h2 id="counts">Counts</h2>
<p>Of ${number(tally.cases)} actions that were asked for in this time, ${number(tally.holds)} were held for people.${tally.carried > 0 && html` ${number(tally.carried)} more had been asked for before and went on in it; they are not counted here.`}</p>
<h3>What people made of held actions</h3>${stripe(partsOf(tally.held), 'Held actions')}
<h3>What became of approved actions</h3>${stripe(partsOf(tally.ends), 'Approved actions')}
<h3>Actions that nobody was asked about</h3>${stripe(partsOf(tally.other), 'Other actions')}
${overTime(about)}
<h3>From the asking to each vote</h3>${columns(tally.durations.within(edges).map((count, at) => ({ name: edgeNames[at] ?? '', parts: [{ name: 'votes', tone: at < 2 ? 'c-wait' : 'c-cold', count }] })), 'Votes by time')}<p class="soft">Median ${seconds(tally.durations.median()) || 'unknown'}, of ${number(tally.durations.total)} votes of people. Below three seconds nobody has read much.</p>
<h3>Do they reconcile?</h3><table class="sums"><tbody>${tally.equations().map(({ text, left, right }) => html`<tr><td>${text}</td><td class="n">${number(left)} = ${number(right)}</td><td>${mark(left === right)}</td></tr>`)}</tbody></table>`
}

const mostPeople = 60

const people = ({ tally }: ReportParts): Html => {
  const all = [...tally.approvers.values()].toSorted((a, b) => b.yes + b.no - a.yes - a.no)
  return html`<h2 id="people">Who decided</h2>${all.length === 0 ? html`<p class="soft">Nobody has voted in this time.</p>` : html`<div class="scroll"><table class="stack"><thead><tr><th>Account</th><th>By</th><th class="n">Yes</th><th class="n">No</th><th class="n">Median time</th></tr></thead><tbody>${all.slice(0, mostPeople).map(({ who, issuer, channels, yes, no, durations }) => html`<tr><td>${said(who)} <small>at ${said(issuer)}</small></td><td data-name="By">${[...channels].map(said).join(', ')}</td><td class="n" data-name="Yes">${number(yes)}</td><td class="n" data-name="No">${number(no)}</td><td class="n" data-name="Median">${seconds(durations.median())}</td></tr>`)}</tbody></table></div>`}${all.length > mostPeople && html`<p class="soft">${number(all.length - mostPeople)} more have voted; counts.json has all.</p>`}`
}

const sample = ({ sample: drawn, seed }: ReportParts): Html => html`<h2 id="sample">Sample</h2>
<p>Drawn by the seed <code>${said(seed)}</code>: the cases whose SHA-256 over the seed, a line feed and their name comes first. Held ones, and a fifth as many of the others. Each folder has the records, a signed receipt and the proof of each record.</p>
${drawn.map(({ row, folder, steps, proved }) => html`<details><summary>${said(row.code ?? row.name)} <span class="badge">${stateOf(row)}, ${endStateOf(row)}</span> ${verbText(row.verb ?? '')} ${said(row.on?.[0] ?? '')} <small>by ${said(row.requester ?? 'somebody')}</small></summary>
<ol class="steps">${steps.map((one) => html`<li>${said(one)}</li>`)}</ol><p class="soft">${row.votes.length > 0 && `Votes: ${row.votes.map(({ by, verdict, channel, assurance }) => `${said(by)} ${verdict === 'approve' ? 'yes' : 'no'} (${said(channel)}, ${said(assurance)})`).join(', ')}. `}${number(proved)} of ${number(steps.length)} records are proved. <code>${folder}</code></p></details>`)}`

const mostShownPolicies = 100

const policies = ({ policies: changes, policyTexts }: ReportParts): Html => html`<h2 id="policies">Policies</h2><p>${policyTexts}</p>
<div class="scroll"><table class="stack"><thead><tr><th>From</th><th>Replica</th><th>Version</th><th>Record</th></tr></thead><tbody>${changes.slice(0, mostShownPolicies).map(({ at, replica, version, record }) => html`<tr><td class="t">${clock(at)}</td><td data-name="Replica">${said(replica)}</td><td data-name="Version"><code>${said(version)}</code></td><td data-name="Record"><code>${said(record)}</code></td></tr>`)}</tbody></table></div>${changes.length === 0 && html`<p class="soft">No policy was loaded in this time: the version of each case is in the population.</p>`}${changes.length > mostShownPolicies && html`<p class="soft">The first ${mostShownPolicies} of ${number(changes.length)}; all are in policies.json.</p>`}`

const logText = ({ records, signed, behind, beginsLate, uncompared, first, finding }: LogReport): string =>
  finding !== undefined ? `${finding.kind} at ${finding.at}: ${finding.text}. Nothing behind it was looked at.`
  : signed === 0 ? `${number(records)} records fit each other, ${uncompared ? 'and the signatures over them cannot be compared' : 'and nobody has signed any of them'}.`
  : `${number(signed)} records up to the last signature are what was written.${behind > 0 ? ` ${number(behind)} behind it are not covered by any.` : ''}${beginsLate ? ` What was before ${first ?? ''} is not in this pack.` : ''}`

const mostShownStarts = 60

const completeness = ({ reports, starts }: ReportParts): Html => html`<h2 id="completeness">Completeness</h2>
<p>Each start of each replica is a log of its own, with numbers and signatures over all of its records so far. Numbers and chain were followed, and the root under every signature was computed again from the records in this pack; what came of it is below. So the last signature stands for all before it, and no other proof is needed that an earlier one is of the same log. A clean cut behind the last signature shows only against a checkpoint that was kept elsewhere: compare it with <code>completeness.json</code>.</p>
${reports.map((report) => html`<p class="verdict${(report.finding !== undefined || report.signed === 0) && ' grave'}"><b>${said(report.replica)}</b>: ${said(logText(report))}</p>`)}
<div class="scroll"><table class="stack"><thead><tr><th>Log</th><th>From</th><th>To</th><th class="n">Records</th><th class="n">Signatures</th><th class="n">Over up to</th><th>End</th></tr></thead><tbody>${starts.slice(0, mostShownStarts).map((start) => html`<tr><td><code>${said(start.origin)}</code>${!start.begins && html` <span class="badge look">begins late</span>`}</td><td class="t" data-name="From">${clock(start.from)}</td><td class="t" data-name="To">${clock(start.to)}</td><td class="n" data-name="Records">${number(start.records)}</td><td class="n" data-name="Signatures">${number(start.checkpoints)}</td><td class="n" data-name="Over up to">${number(start.lastCheckpoint ?? 0)}</td><td data-name="End">${start.stopped ? 'stopped in order' : 'goes on, or ended without a word'}</td></tr>`)}</tbody></table></div>${starts.length > mostShownStarts && html`<p class="soft">The first ${mostShownStarts} of ${number(starts.length)}.</p>`}`

const population = ({ tally, populationHash, from, to }: ReportParts): Html => html`<h2 id="population">Population</h2>
<p><code>population/cases.csv</code> and <code>cases.ndjson</code>: one line for each of the ${number(tally.cases)} actions whose first record is of this time (from ${clock(new Date(from).toISOString())}, before ${clock(new Date(to).toISOString())}), as far as it had come by its end. SHA-256 of the NDJSON: <code>${populationHash}</code>. The records themselves, as they stand in the log, are in <code>records/</code>.</p>
<div class="scroll"><table><thead><tr><th>Kind of record</th><th class="n">In this time</th></tr></thead><tbody>${[...tally.byType].toSorted(([, a], [, b]) => b - a).map(([type, count]) => html`<tr><td><code>${said(type)}</code></td><td class="n">${number(count)}</td></tr>`)}</tbody></table></div>`

const mapping = ({ framework }: ReportParts): Html => html`<h2 id="controls">Controls</h2><p>This pack produces evidence for these controls of ${frameworkNames[framework]}, within what passes through this deployment. What they are about is said in our words; the standard's own text decides.</p>
<div class="scroll"><table class="stack"><thead><tr><th>Control</th><th>About</th><th>Produces evidence for it by</th><th>Where</th></tr></thead><tbody>${controls[framework].map(({ id, about, shows, sections: where }) => html`<tr><td class="t"><b>${id}</b></td><td>${about}</td><td>${shows}</td><td>${where.map((one, at) => html`${at > 0 && ', '}<a href="#${one}">${sections[one]}</a>`)}</td></tr>`)}</tbody></table></div>`

const verifying = ({ keys, deployment }: ReportParts): Html => html`<h2 id="verify">Verify it yourself</h2>
<p>With the keys that ${deployment} gave you at another time and by another way, in <code>auditor.keys</code>. The keys in this pack are there to be compared, not to be believed.</p>
<pre>countersign receipt verify manifest.dsse.json --key auditor.keys
countersign audit verify records/*.ndjson --key auditor.keys
countersign receipt verify sample/CASE/receipt.json --key auditor.keys --records sample/CASE/records.ndjson
countersign audit verify --proof sample/CASE/RECORD.tlog-proof sample/CASE/RECORD.json --key auditor.keys</pre>
<p>None of them talks to a server. <code>README.md</code> says what each shows.</p><pre>${keys.join('\n')}</pre>`
