import { hash, randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import { defined } from '../../lib/defined.ts'
import type { Digest } from '../../masking/mask.ts'
import { actionRecord, callerRecord } from '../../model/audit-event.ts'
import type { Refusal } from '../../model/refusal.ts'
import type { PolicySet } from '../../policy/policy-set.ts'
import type { Place } from './action.ts'
import { Admission, type AdmissionParts } from './admission.ts'
import type { Arrival, Serve } from './arrival.ts'
import { Attribution } from './attribution.ts'
import { Backlog } from './backlog.ts'
import type { Catalogs, Known } from './catalogs.ts'
import type { Catalog } from './catalog/catalog.ts'
import { makeSessionNames } from './catalog/session-names.ts'
import { Dialogue } from './dialogue.ts'
import { Freshness } from './freshness.ts'
import { HoldNotice } from './hold-notice.ts'
import { Inspection } from './inspection.ts'
import { Judge } from './judge.ts'
import type { TagsOf } from './rows/column-masks.ts'
import type { Prepared } from './namespace.ts'
import { Patience } from './patience.ts'
import { Plans } from './plans.ts'
import { Session } from './session.ts'
import type { Reader } from './sql/reader.ts'
import type { StatementReading } from './sql/reading.ts'
import { SessionState } from './state.ts'
import { Statements } from './statements.ts'
import { planFor, watchRows } from './watching.ts'

export interface ServingParts extends AdmissionParts {
  readonly reader: Reader
  readonly catalogs: Catalogs
  readonly consoleUrl: () => string
  /** For masks that hash: one key for one service. */
  readonly digestFor: (service: string) => Digest
  /** For tests. */
  readonly noticeMs?: number
}

const rowBytes = 64 << 20
const mostBacklog = 256 << 20

/** Serves clients that are logged in: everything of one session, put together. */
export const makeServe = (parts: ServingParts): Serve => {
  const backlog = new Backlog(mostBacklog)
  const tags = new WeakMap<PolicySet, Map<string, TagsOf>>()
  const tagsOf = (service: string): TagsOf => {
    const policies = parts.policies()
    const known = tags.get(policies) ?? new Map<string, TagsOf>()
    tags.set(policies, known)
    const made = known.get(service) ?? ((kind, name) => policies.tagsOf(service, kind, name))
    known.set(service, made)
    return made
  }
  return async (arrival) => {
    using known = await parts.catalogs.of(arrival.service)
    await assemble(parts, arrival, known, () => tagsOf(arrival.service.name), backlog).serve()
  }
}

const assemble = (parts: ServingParts, arrival: Arrival, { catalog: living, estimates }: Known, tagsOf: () => TagsOf, backlog: Backlog): Session => {
  const { service, database, role, backend } = arrival
  const gone = new AbortController()
  const state = new SessionState()
  const consoleUrl = parts.consoleUrl()
  const place: Place = { service: service.name, upstream: `${service.host}:${service.port}`, database, role }
  const attribution = new Attribution(arrival.caller, backend.parameters.get('application_name'))
  const dialogue = new Dialogue({
    backend,
    rowBytes,
    toClient: (bytes) => session.toClient(bytes),
    // Node counts a byte until its write is over.
    taken: () => !arrival.client.destroyed && arrival.client.writableLength === 0,
    named: (name) => attribution.reported(name),
    ready: () => {
      state.ready(dialogue.pipeline)
      freshness.ready()
      session.ready()
      void attribution.ready(dialogue)?.then(() => session.ready())
    },
    over: (cause) => {
      state.end()
      plans.end()
      session.serverGone(cause)
    },
  })
  /** Whatever the server would not run as it reads now is nothing that anybody knows. */
  const readingOf = (found: Prepared | 'unsure' | undefined): StatementReading | undefined => (found === undefined || found === 'unsure' || found.reading === 'empty' || statements.isStale(found) ? undefined : found.reading)
  const names = makeSessionNames({
    catalog: () => living.current(),
    prepared: (name) => readingOf(state.statements.find(name, dialogue.pipeline.batch)),
    cursor: (name) => {
      const found = state.portals.find(name, dialogue.pipeline.batch)
      return readingOf(found === 'unsure' ? found : found?.statement)
    },
  })
  const judge = new Judge({ place, policies: parts.policies, names, columns: (schema, name) => columnsOf(names.catalog, schema, name), missed: () => living.missed() })
  const freshness = new Freshness({ dialogue, state, judge, names, definitionsChanged: () => living.renew() })
  const inspection = new Inspection({
    dialogue, names, role,
    estimate: (read, question) => estimates.of(read, question),
    pattern: (text) => parts.reader.pattern(text),
    outline: (text) => parts.reader.outline(text),
    renew: () => freshness.renew(),
    transaction: () => state.transaction(dialogue.pipeline),
    knowsSettings: () => state.knowsSettings(dialogue.pipeline),
  })
  const plans = new Plans({
    dialogue, inspection, attribution,
    read: (sql) => statements.readPlan(sql),
    inspected: (plan) => statements.plan(plan),
    check: ({ steps }, obligations, effect) => steps.forEach((step) => statements.check([step], obligations, effect)),
    refused: (action, refusal, permit) => parts.note({ type: 'refused', attempt: permit?.attempt ?? randomUUID(), caller: callerRecord(arrival.caller), action: actionRecord(action), code: refusal.code, cause: refusal.message, ...defined({ hold: permit?.hold }) }),
    fatal: (refusal) => session.fatal(refusal),
  })
  const patience = new Patience({ approvals: parts.approvals, log: parts.log, caller: () => admission.caller, began: (hold) => session.held(hold), ended: () => notice.stop(), gone: gone.signal })
  const admission: Admission = new Admission(parts, {
    arrival,
    dialogue,
    state,
    inspection,
    attribution,
    patience,
    look: () => session.look(),
    gone: gone.signal,
    missed: () => living.missed(),
    plans,
  })
  const watching = { names, digest: parts.digestFor(service.name), tagsOf, dialogue, masksOf: () => parts.policies().masksOf(service.name), callerMasks: () => parts.policies().masksOf(service.name, admission.caller) }
  const statements: Statements = new Statements({
    dialogue, state, judge, names, freshness, reader: parts.reader, policies: parts.policies, caller: () => admission.caller, turn: { of: `${arrival.caller.issuer} ${arrival.caller.subject}`, gone: gone.signal }, consoleUrl,
    refused: (sql, refusal) => parts.note({ type: 'refused', attempt: randomUUID(), caller: callerRecord(arrival.caller), action: actionRecord(unjudged(place, sql)), code: refusal.code, cause: refusal.message }),
    fatal: (refusal: Refusal) => session.fatal(refusal),
    watch: (read, execution, permit, circumstances) => watchRows(watching, read, execution, permit, circumstances),
    check: (read, obligations, effect, bound) => void planFor(watching, read, obligations, { bound, writes: effect === 'write' }),
  })
  const notice = new HoldNotice(consoleUrl, parts.noticeMs)
  const session: Session = new Session({ arrival, dialogue, patience, admission, statements, notice, consoleUrl, backlog, log: parts.log as Logger, gone })
  return session
}

const columnsOf = (catalog: Catalog, schema: string, name: string): readonly string[] | undefined => {
  const relation = catalog.byName(schema, name)
  return relation && [...relation.columns.values()].flatMap((column) => [column.name, ...column.former])
}

/** What no policy was asked about, for the record of its refusal. */
const unjudged = (place: Place, sql: string) => ({
  protocol: 'postgres' as const,
  service: place.service,
  verb: 'sql.unknown',
  verbs: ['sql.unknown'],
  effect: 'write' as const,
  resources: [],
  tags: [],
  text: '',
  textCut: true,
  facts: {},
  digest: `sha256:${hash('sha256', JSON.stringify({ v: 1, ...place, sql }), 'hex')}` as const,
  shape: `${place.service} sql.unknown`,
})
