import { hash } from 'node:crypto'
import { part, parts, text, type RecordData } from '../audit/record-data.ts'
import { defined } from '../lib/defined.ts'
import { dataOf, type Data } from './run-datasets.ts'

/*
 * Records of the log as runs of OpenLineage: each try of an action is one run.
 *
 *     held, attached ─▶ START ── votes ─▶ OTHER ── started ─▶ RUNNING ─┬─▶ COMPLETE   executed
 *     started ─▶ START ─────────────────────────────────────────────────┼─▶ FAIL       failed, or nobody knows how it ended
 *     decided: deny, refused, denied, expired, taken back ──────────────┴─▶ ABORT
 *
 * The record of an end does not say what it was the end of, so runs that are open are remembered. Exactly one of the three ends each run.
 */

export type RunEventType = 'START' | 'RUNNING' | 'OTHER' | 'COMPLETE' | 'ABORT' | 'FAIL'

/** A run that has begun and not ended. */
export interface OpenRun {
  readonly job: { readonly namespace: string; readonly name: string }
  readonly data: Data
  readonly facet: Readonly<Record<string, unknown>>
  readonly started: boolean
  readonly hold?: string | undefined
}

export interface Runs {
  /** By attempt, the oldest first. */
  readonly open: ReadonlyMap<string, OpenRun>
  /** The last attempts that have ended: what comes behind an end ends nothing again. */
  readonly ended: readonly string[]
}

export const noRuns: Runs = { open: new Map(), ended: [] }

/** More are forgotten, the oldest first; their ends are not told. */
const mostOpen = 2_000
const mostEnded = 500

export interface RunParts {
  /** Of each service: where its datasets are. */
  readonly namespaces: ReadonlyMap<string, string>
  readonly producer: string
}

export const facetSchema = 'urn:countersign:schema:openlineage:1-0-0:GateDecisionRunFacet'
const schemaUrl = 'https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent'
const lineageSchema = 'https://openlineage.io/spec/facets/1-0-0/LineageFacet.json#/$defs/LineageJobFacet'

/** Attempts are UUIDs; anything else becomes one, always the same. */
export const runIdOf = (attempt: string): string => {
  if (/^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(attempt)) return attempt
  const digits = hash('sha256', `countersign attempt\n${attempt}`)
  return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-8${digits.slice(13, 16)}-8${digits.slice(17, 20)}-${digits.slice(20, 32)}`
}

/** What the records say of runs, and which are open behind them. */
export const advance = (runs: Runs, records: readonly RecordData[], about: RunParts): { readonly runs: Runs; readonly events: readonly object[] } => {
  const [open, ended, events] = [new Map(runs.open), [...runs.ended], [] as object[]]

  const tell = (eventType: RunEventType, attempt: string, run: OpenRun, record: RecordData, more: Readonly<Record<string, unknown>> = {}): void => {
    const facet = { ...run.facet, ...more, record: text(record['id']) ?? '' }
    open.set(attempt, { ...run, facet })
    events.push(eventOf(eventType, attempt, { ...run, facet }, record, about))
  }
  const end = (eventType: 'COMPLETE' | 'ABORT' | 'FAIL', attempt: string, run: OpenRun, record: RecordData, more: Readonly<Record<string, unknown>>): void => {
    tell(eventType, attempt, run, record, more)
    open.delete(attempt)
    ended.push(attempt)
    if (ended.length > mostEnded) ended.shift()
  }
  const endHold = (record: RecordData, state: string): void => {
    for (const [attempt, run] of open) if (run.hold !== undefined && run.hold === record['hold'] && !run.started) end('ABORT', attempt, run, record, { state })
  }

  for (const record of records) {
    const type = text(record['type']) ?? ''
    const attempt = text(record['attempt'])
    if (type === 'hold-expired' || type === 'hold-withdrawn') endHold(record, type.slice('hold-'.length))
    else if (type === 'voted' || type === 'broke-glass') {
      const state = type === 'voted' ? (text(record['state']) ?? 'pending') : 'released'
      const votes = (run: OpenRun) => ({ state, votes: [...parts(run.facet['votes']), voteOf(part(record['vote']))].slice(-mostVotes) })
      for (const [one, run] of open) if (run.hold !== undefined && run.hold === record['hold'] && !run.started) tell('OTHER', one, run, record, votes(run))
      if (state === 'denied') endHold(record, 'denied')
    } else if (type === 'replica-started') {
      // Whoever waited here before has gone with the replica; what had started is told by records of its own.
      for (const [one, run] of open) if (!run.started) end('ABORT', one, run, record, { state: 'withdrawn' })
    } else if (attempt !== undefined && !ended.includes(attempt)) {
      const known = open.get(attempt)
      const run = record['action'] === undefined ? known : (runFrom(record, about, known) ?? known)
      if (run === undefined) continue
      if (type === 'held' || type === 'attached') {
        if (known === undefined) tell('START', attempt, { ...run, hold: text(record['hold']) }, record, { state: 'pending' })
      } else if (type === 'started') tell(known === undefined ? 'START' : 'RUNNING', attempt, { ...run, started: true }, record, { state: 'running' })
      else if (type === 'finished') {
        const { result, status, rows } = part(record['outcome'])
        end(result === 'executed' ? 'COMPLETE' : 'FAIL', attempt, run, record, { state: text(result) ?? 'unknown', outcome: defined({ status: text(status), rows: typeof rows === 'number' ? rows : undefined }) })
      } else if (type === 'outcome-unknown') end('FAIL', attempt, run, record, { state: 'unknown' })
      else if (type === 'refused' || (type === 'decided' && part(record['decision'])['verdict'] === 'deny')) end('ABORT', attempt, run, record, { state: type === 'refused' ? 'refused' : 'denied', ...defined({ code: text(record['code']) }) })
    }
    while (open.size > mostOpen) open.delete(open.keys().next().value ?? '')
  }
  return { runs: { open, ended }, events }
}

const mostVotes = 20

const nameOf = (value: unknown): string => text(part(value)['subject']) ?? ''

const voteOf = (vote: RecordData) => ({ by: nameOf(vote['by']), issuer: text(part(vote['by'])['issuer']) ?? '', verdict: vote['verdict'] === 'approve' ? 'approve' : 'deny', ...(vote['brokeGlass'] === true ? { brokeGlass: true } : {}) })

const runFrom = (record: RecordData, { namespaces }: RunParts, known: OpenRun | undefined): OpenRun | undefined => {
  const data = dataOf(record, namespaces)
  if (data === undefined) return undefined
  const [caller, action, decision] = [part(record['caller']), part(record['action']), part(record['decision'])]
  const matched = parts(decision['matched']).map(({ policy, rule }) => `${String(policy)}/${String(rule)}`)
  return {
    job: { namespace: text(caller['issuer']) ?? 'countersign', name: `${nameOf(caller)}/${text(action['service']) ?? ''}/${text(action['verb']) ?? ''}` },
    data,
    started: known?.started ?? false,
    hold: known?.hold ?? text(record['hold']),
    facet: {
      votes: [], ...known?.facet,
      verdict: text(decision['verdict']) ?? known?.facet['verdict'] ?? 'hold',
      rules: matched.length > 0 ? matched : (known?.facet['rules'] ?? []),
      onBehalfOf: parts(caller['onBehalfOf']).map(nameOf),
      digest: text(action['digest']) ?? '',
      confidence: data.confidence,
      inferred: ['session'],
      ...defined({ policyVersion: text(decision['policyVersion']), hold: text(record['hold']) }),
    },
  }
}

const eventOf = (eventType: RunEventType, attempt: string, { job, data, facet }: OpenRun, record: RecordData, { producer }: RunParts): object => ({
  eventType,
  eventTime: text(record['time']) ?? '',
  producer,
  schemaURL: schemaUrl,
  run: { runId: runIdOf(attempt), facets: { countersign_gateDecision: { _producer: producer, _schemaURL: facetSchema, ...facet } } },
  job: { ...job, facets: { lineage: { _producer: producer, _schemaURL: lineageSchema, entries: data.entries } } },
  inputs: data.inputs,
  outputs: data.outputs,
})
