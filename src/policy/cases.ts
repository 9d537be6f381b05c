import { z } from 'zod'
import { defined } from '../lib/defined.ts'
import { parseDuration } from '../lib/duration.ts'
import type { Action } from '../model/action.ts'
import type { Caller, Principal } from '../model/caller.ts'
import { voteChannels, type Assurance, type Decision, type MatchedRule, type VoteChannel } from '../model/decision.ts'
import type { Protocol, Service } from '../model/service.ts'
import { meant } from './meant.ts'
import type { ExplainingPolicySet, PolicySet } from './policy-set.ts'

/* Cases beside a policy: who asks for what, and what is expected. What a case does not expect is expected to be denied. */

const text = z.string().min(1)
const principal = {
  issuer: text.describe('Short name of the issuer, or its `iss`.').optional(),
  subject: text.describe('Subject there.').optional(),
  kind: z.enum(['human', 'workload', 'agent']).describe('What it is; human if left out.').optional(),
  groups: z.array(text).nullable().describe('Groups; null where they could not be found out.').optional(),
  email: text.describe('Verified address.').optional(),
  'client-id': text.describe('The client that got the token.').optional(),
}
const caller = z.strictObject({
  ...principal,
  address: text.describe('Where it comes from; 127.0.0.1 if left out.').optional(),
  claims: z.record(text, z.unknown()).describe('What `caller.claims` has.').optional(),
  'on-behalf-of': z.array(z.strictObject(principal)).describe('Whom it acts for, the nearest first.').optional(),
})
const duration = z.string().regex(/^(?:0|(?:\d{1,6}(?:ms|s|m|h|d))+)$/, 'a duration such as 10m')
const values = z.union([z.string(), z.array(z.string())])

const http = z.strictObject({
  method: z.string().describe('GET if left out.').optional(),
  path: text.describe('The path, as a client would send it.'),
  query: z.record(text, values).describe('Query parameters.').optional(),
  headers: z.record(text, values).describe('Headers.').optional(),
  json: z.unknown().describe('A body in JSON.').optional(),
  body: z.string().describe('Any other body.').optional(),
})

const vote = z.strictObject({
  by: z.strictObject(principal).describe('Who votes.'),
  at: duration.describe('When, after the hold was opened.'),
  verdict: z.enum(['approve', 'deny']).describe('Approve if left out.').optional(),
  assurance: z.enum(['chat', 'console', 'passkey']).describe('Console if left out.').optional(),
  channel: z.enum(voteChannels).describe('Where it is given; the console if left out.').optional(),
  'fresh-login': z.literal(true).describe('They had logged in anew just before.').optional(),
  reason: text.describe('Why.').optional(),
  'break-glass': z.literal(true).describe('It releases the action alone.').optional(),
})

const expectation = z.strictObject({
  decision: z.enum(['allow', 'hold', 'deny']).describe('Deny if left out.').optional(),
  rules: z.array(text).describe('The rules that made the verdict, all of them.').optional(),
  masks: z.record(text, z.enum(['none', 'partial', 'hash', 'redact'])).describe('The masks, all of them.').optional(),
  limits: z.strictObject({ rows: z.int().describe('Most rows.').optional(), time: duration.describe('Longest run.').optional() }).describe('The limits, all of them.').optional(),
  approvals: z.record(text, z.int()).describe('How many people of which group, all of them.').optional(),
  terms: z
    .strictObject({
      within: duration.describe('To decide.').optional(),
      'run-within': duration.describe('To run it.').optional(),
      assurance: z.enum(['chat', 'console', 'passkey']).describe('Of every approver.').optional(),
      'ask-reason': z.boolean().describe('Approvers say why.').optional(),
      run: z.enum(['attached', 'when-approved']).describe('With or without its client.').optional(),
      grant: z.strictObject({ times: z.int().describe('How many more.'), rows: z.int().describe('Rows in all.').optional(), within: duration.describe('For how long.') }).nullable().describe('The most that approvers may let through of the same kind; null: nothing.').optional(),
    })
    .describe('Terms of the hold; only those that are listed are compared.')
    .optional(),
  state: z.enum(['pending', 'approved', 'denied', 'expired']).describe('Of the hold after the votes.').optional(),
})

const oneCase = z.strictObject({
  name: text.describe('What it shows.'),
  caller: caller.describe('Who asks.'),
  service: text.describe('Which service is asked.'),
  now: text.describe('When, such as 2026-01-14T10:00:00Z.').optional(),
  http: http.describe('A request.').optional(),
  sql: text.describe('A text of SQL, one statement or several.').optional(),
  params: z.array(z.union([z.string(), z.number(), z.boolean(), z.null()])).max(1_000).describe('With sql: the values of $1, $2 …; the statement is then asked for as a prepared one.').optional(),
  'estimated-rows': z.int().min(0).describe('With sql: stands in for the planner; left out: nobody can say.').optional(),
  transaction: z.enum(['none', 'clean', 'written']).describe('With sql: whether it is asked for in a transaction, and whether that has written yet.').optional(),
  mcp: z.strictObject({ tool: text.describe('The tool.'), arguments: z.unknown().describe('What it is called with.').optional() }).describe('A call of a tool; pending until that can be rehearsed.').optional(),
  votes: z.array(vote).describe('Votes on the hold.').optional(),
  at: duration.describe('When, after the hold was opened, its state is looked at.').optional(),
  expect: expectation.nullable().describe('What comes of it; deny if left out.').optional(),
})

export const casesSchema = z.strictObject({
  description: text.describe('For people who read the cases.').optional(),
  policies: z.array(text).min(1).describe('Files beside this one that are loaded together; by default the policy of the same name.').optional(),
  world: z
    .strictObject({
      services: z.record(text, z.strictObject({ protocol: z.enum(['http', 'mcp', 'postgres', 'mysql']).describe('http if left out.').optional(), labels: z.record(text, text).describe('Labels.').optional() })).describe('Services, by name.'),
      groups: z.array(text).describe('Every group there is; any, if left out.').optional(),
      issuers: z.record(text, z.union([text, z.array(text).min(1)])).describe('Issuers: short name to `iss`.').optional(),
      channels: z.array(z.enum(['chat', 'console', 'passkey'])).describe('How sure the channels can make us of an approver.').optional(),
    })
    .describe('Stands in for the configuration where there is none.')
    .optional(),
  cases: z.array(oneCase).min(1).describe('In no order.'),
})

export type CasesSource = z.infer<typeof casesSchema>
export type CaseSource = CasesSource['cases'][number]
export type HttpCase = NonNullable<CaseSource['http']>

export interface SqlCase {
  readonly sql: string
  readonly params?: readonly (string | number | boolean | null)[]
  readonly transaction?: 'none' | 'clean' | 'written'
  readonly estimatedRows?: number
}

export interface CaseVote {
  readonly by: Principal
  readonly atMs: number
  readonly verdict: 'approve' | 'deny'
  readonly assurance: Assurance
  readonly channel: VoteChannel
  readonly reason?: string
  readonly brokeGlass?: true
  readonly freshLogin?: true
}

/** What votes made of a hold, and why some of them count for nothing. */
export interface CaseEnd {
  readonly state: string
  readonly refused: readonly { readonly vote: CaseVote; readonly cause: string }[]
}

/** What a runner of cases cannot know by itself: how a protocol reads a request, and how votes settle a hold. */
export interface CaseParts {
  /** A text is the protocol's refusal: no action came of the request. */
  readonly makeAction: (service: string, request: HttpCase, tagsOf: ExplainingPolicySet['tagsOf']) => Action | string
  /** What the statement says, without a database: a text where there is nothing to judge. */
  readonly makeSql: (service: string, statement: SqlCase, policies: PolicySet) => Promise<Action | string>
  readonly settle: (held: { readonly caller: Caller; readonly action: Action; readonly decision: Decision }, votes: readonly CaseVote[], atMs: number) => CaseEnd
  readonly issuers: ReadonlyMap<string, string>
  readonly services: readonly Service[]
}

export interface CaseResult {
  readonly name: string
  readonly result: 'passed' | 'failed' | 'pending'
  readonly differences: readonly string[]
  /** Why no rule was asked, or none but those about what cannot be read: a mistyped action is denied like any other. */
  readonly notes: readonly string[]
  /** Rules that matched, for the report on rules that no case touches. */
  readonly touched: readonly MatchedRule[]
}

const DEFAULT_NOW = '2026-01-14T10:00:00Z'

const principalOf = (source: CaseSource['caller'] | NonNullable<CaseSource['votes']>[number]['by'], issuers: ReadonlyMap<string, string>, kind: Principal['kind'], subject: string): Principal => ({
  issuer: source.issuer === undefined ? ([...issuers.values()][0] ?? 'https://idp.example') : (issuers.get(source.issuer) ?? source.issuer),
  subject: source.subject ?? subject,
  kind: source.kind ?? kind,
  groups: source.groups === null ? undefined : (source.groups ?? []),
  ...defined({ email: source.email, clientId: source['client-id'] }),
})

export const callerOf = (source: CaseSource['caller'], issuers: ReadonlyMap<string, string>, now: number): Caller => ({
  ...principalOf(source, issuers, 'human', 'somebody'),
  onBehalfOf: (source['on-behalf-of'] ?? []).map((who, index) => principalOf(who, issuers, 'human', `principal-${index + 1}`)),
  claims: source.claims ?? {},
  session: 'case',
  authenticatedAt: now,
  expiresAt: now + 3_600_000,
  address: source.address ?? '127.0.0.1',
})

const milliseconds = (duration: string): number => (duration === '0' ? 0 : (parseDuration(duration) ?? 0))

/** What a case asks for, as its protocol understands it; a text says why no rule is asked, and `undefined` that nobody here can read it yet. */
export const actionOf = async (source: CaseSource, policies: PolicySet, parts: Pick<CaseParts, 'makeAction' | 'makeSql'>): Promise<Action | string | undefined> => {
  const { service, http, sql, params, transaction } = source
  if (http !== undefined) return parts.makeAction(service, http, policies.tagsOf)
  return sql === undefined ? undefined : parts.makeSql(service, { sql, ...defined({ params, transaction, estimatedRows: source['estimated-rows'] }) }, policies)
}

const WAYS: Record<Protocol, 'http' | 'sql' | 'mcp'> = { http: 'http', postgres: 'sql', mysql: 'sql', mcp: 'mcp' }

/** A case that asks nobody is denied and would pass as one that expects that. */
const mistakeIn = (source: CaseSource, now: number, services: readonly Service[]): string | undefined => {
  if (Number.isNaN(now)) return `"${source.now}" is no time such as ${DEFAULT_NOW}`
  if ([source.http, source.sql, source.mcp].filter((action) => action !== undefined).length !== 1) return 'a case has exactly one of http, sql and mcp'
  const stray = (['params', 'estimated-rows', 'transaction'] as const).find((key) => source.sql === undefined && source[key] !== undefined)
  if (stray !== undefined) return `"${stray}" goes with "sql"`
  const service = services.find(({ name }) => name === source.service)
  if (service === undefined) return `no service is called "${source.service}"${meant(source.service, services.map(({ name }) => name))}`
  const way = WAYS[service.protocol]
  return source[way] === undefined ? `service ${service.name} speaks ${service.protocol}: write what is asked for under "${way}"` : undefined
}

export const runCase = async (source: CaseSource, policies: ExplainingPolicySet, parts: CaseParts): Promise<CaseResult> => {
  const { name } = source
  const now = Date.parse(source.now ?? DEFAULT_NOW)
  const mistake = mistakeIn(source, now, parts.services)
  if (mistake !== undefined) return { name, result: 'failed', differences: [mistake], notes: [], touched: [] }
  const action = await actionOf(source, policies, parts)
  if (action === undefined) return { name, result: 'pending', differences: ['mcp cases cannot run yet'], notes: [], touched: [] }
  const caller = callerOf(source.caller, parts.issuers, now)
  if (typeof action === 'string') {
    const refused = `the request is refused before any rule is asked: ${action}`
    const denied = (source.expect?.decision ?? 'deny') === 'deny'
    return { name, result: denied ? 'passed' : 'failed', differences: denied ? [] : [refused], notes: denied ? [refused] : [], touched: [] }
  }
  const decision = policies.decide(caller, action, now)
  const differences = compare(source, decision)
  if (source.votes !== undefined || source.expect?.state !== undefined) differences.push(...compareState(source, { caller, action, decision }, parts))
  return { name, result: differences.length === 0 ? 'passed' : 'failed', differences, notes: unreadIn(action), touched: decision.matched }
}

const unreadIn = ({ verbs, facts }: Action): readonly string[] => {
  if (!verbs.includes('sql.unknown')) return []
  const { notes = [] } = facts['sql'] as { readonly notes?: readonly string[] }
  return notes.map((note) => `not understood: ${note}`)
}

const differs = (what: string, wanted: unknown, got: unknown): readonly string[] => {
  const [left, right] = [JSON.stringify(wanted), JSON.stringify(got)]
  return left === right ? [] : [`${what}: expected ${left}, got ${right}`]
}

const sorted = (record: Readonly<Record<string, unknown>>): readonly (readonly [string, unknown])[] => Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1))

const compare = ({ expect }: CaseSource, decision: Decision): string[] => {
  const wanted = expect ?? {}
  const { terms } = decision
  const differences = [...differs('decision', wanted.decision ?? 'deny', decision.verdict)]
  if (wanted.rules !== undefined) differences.push(...differs('rules', wanted.rules.toSorted(), decision.matched.filter(({ observed, then }) => !observed && then === decision.verdict).map(({ rule }) => rule).toSorted()))
  if (wanted.masks !== undefined) differences.push(...differs('masks', sorted(wanted.masks), sorted(decision.obligations.masks).map(([key, mask]) => [key.slice(key.indexOf(':') + 1), mask])))
  if (wanted.limits !== undefined) differences.push(...differs('limits', { rows: wanted.limits.rows, ms: wanted.limits.time === undefined ? undefined : milliseconds(wanted.limits.time) }, { rows: decision.obligations.limits.rows, ms: decision.obligations.limits.ms }))
  if (wanted.approvals !== undefined) {
    const counts: Record<string, number> = {}
    for (const { groups, users, automations = [], count } of terms?.requirements ?? []) {
      const key = [...groups, ...[...users, ...automations].map(({ subject }) => subject)].join('|')
      counts[key] = (counts[key] ?? 0) + count
    }
    differences.push(...differs('approvals', sorted(wanted.approvals), sorted(counts)))
  }
  const asked = wanted.terms
  if (asked?.within !== undefined) differences.push(...differs('terms.within', milliseconds(asked.within), terms?.withinMs))
  if (asked?.['run-within'] !== undefined) differences.push(...differs('terms.run-within', milliseconds(asked['run-within']), terms?.runWithinMs))
  if (asked?.['ask-reason'] !== undefined) differences.push(...differs('terms.ask-reason', asked['ask-reason'], terms?.askReason))
  if (asked?.run !== undefined) differences.push(...differs('terms.run', asked.run, terms?.run))
  if (asked?.grant !== undefined) differences.push(...differs('terms.grant', asked.grant && [asked.grant.times, asked.grant.rows, milliseconds(asked.grant.within)], terms?.grant === undefined ? null : [terms.grant.times, terms.grant.rows, terms.grant.withinMs]))
  if (asked?.assurance !== undefined && !(terms?.requirements.every(({ assurance }) => assurance === asked.assurance) ?? false)) differences.push(`terms.assurance: expected ${asked.assurance}, got ${terms?.requirements.map(({ assurance }) => assurance).join(', ') ?? 'no terms'}`)
  return differences
}

const compareState = (source: CaseSource, held: { readonly caller: Caller; readonly action: Action; readonly decision: Decision }, parts: CaseParts): readonly string[] => {
  if (held.decision.terms === undefined) return ['votes: nothing is held, so there is nothing to vote on']
  const votes = (source.votes ?? []).map((vote): CaseVote => ({ by: principalOf(vote.by, parts.issuers, 'human', 'approver'), atMs: milliseconds(vote.at), verdict: vote.verdict ?? 'approve', assurance: vote.assurance ?? (vote.channel === 'slack' || vote.channel === 'teams' ? 'chat' : 'console'), channel: vote.channel ?? 'console', ...defined({ reason: vote.reason, brokeGlass: vote['break-glass'], freshLogin: vote['fresh-login'] }) })).toSorted((a, b) => a.atMs - b.atMs)
  const atMs = source.at === undefined ? (votes.at(-1)?.atMs ?? 0) : milliseconds(source.at)
  const { state, refused } = parts.settle(held, votes.filter((vote) => vote.atMs <= atMs), atMs)
  const differences = differs('state', source.expect?.state ?? 'pending', state)
  return differences.length === 0 ? [] : [...differences, ...refused.map(({ vote, cause }) => `the vote of ${vote.by.subject} ${vote.atMs / 60_000} min after the opening counts for nothing: ${cause}`)]
}

/** Rules that no case made match: nobody has rehearsed them. */
export const untouchedRules = (policies: ExplainingPolicySet, results: readonly CaseResult[]): readonly MatchedRule[] => {
  const touched = new Set(results.flatMap((result) => result.touched.map(({ policy, rule }) => `${policy}\n${rule}`)))
  return policies.rules.filter(({ policy, rule }) => !touched.has(`${policy}\n${rule}`))
}
