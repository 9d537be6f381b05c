import { z } from 'zod'
import { defined } from '../../lib/defined.ts'
import { nodeId } from '../../audit/lineage/node.ts'
import { lineageFields, type LineageField, type TraceQuestion } from '../../audit/lineage/trace.ts'
import { parseMoment, type AuditQuestion } from '../../audit/search/question.ts'
import { searchFields, type SearchField } from '../../audit/search/fields.ts'
import { parseDuration } from '../../lib/duration.ts'
import { isPlainText } from '../../lib/visible.ts'
import { mostTogether } from '../../approval/together.ts'
import type { Digest } from '../../model/action.ts'
import type { GrantBounds } from '../../model/decision.ts'
import type { HoldState } from '../../model/hold.ts'
import { Refusal } from '../../model/refusal.ts'
import type { PathQuestion } from './audit-desk.ts'
import { exportFormats, type ExportFormat } from './audit-export.ts'

/** What clients of the API may say. Anything else in a body or a query is refused, not ignored: it was meant to have an effect. */
const states = ['pending', 'approved', 'denied', 'expired', 'withdrawn', 'running', 'executed', 'failed', 'unknown'] as const satisfies readonly HoldState[]

// A reason is shown to agents, in chats and in terminals.
const words = z.string().max(2_000).refine(isPlainText, 'must not contain control or invisible characters')

/** What else a yes lets through. */
const wish = z
  .strictObject({ times: z.int(), rows: z.int().optional(), within: z.string().max(40) })
  .transform(({ within, ...bounds }, context): GrantBounds => {
    const withinMs = parseDuration(within)
    if (withinMs === undefined) context.addIssue({ code: 'custom', path: ['within'], message: 'a duration such as 30m' })
    return { times: bounds.times, withinMs: withinMs ?? 0, ...defined({ rows: bounds.rows }) }
  })

const ballot = z.strictObject({
  verdict: z.enum(['approve', 'deny']),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  reason: words.optional(),
  /** The revision of the hold that was on the screen. */
  revision: z.int().min(0).optional(),
  grant: wish.optional(),
})

const holdId = z.string().regex(/^[A-Za-z0-9_-]{1,100}$/)

/** Each as it was looked at. What is named twice was not meant. */
const several = z.strictObject({
  verdict: z.enum(['approve', 'deny']),
  reason: words.optional(),
  holds: z
    .array(z.strictObject({ id: holdId, digest: z.string().regex(/^sha256:[0-9a-f]{64}$/), revision: z.int().min(0) }))
    .min(1)
    .max(mostTogether, `at most ${mostTogether} in one step`)
    .refine((holds) => new Set(holds.map(({ id }) => id)).size === holds.length, 'a hold stands in it twice'),
})

/** Whether the reason is long enough is for the rules to say. */
const breaking = z.strictObject({ digest: z.string().regex(/^sha256:[0-9a-f]{64}$/), reason: words.optional(), revision: z.int().min(0).optional() })
const account = z.string().min(1).max(1_000).refine((text) => text.isWellFormed() && !/[\p{Cc}\p{Cf}]/u.test(text), 'must not contain control or invisible characters')
const handing = z.strictObject({ to: z.union([z.strictObject({ group: account }), z.strictObject({ issuer: account.optional(), subject: account })]), note: words.optional() })
const reviewing = z.strictObject({ note: words })

/** A field of a form that was left empty says nothing. */
const count = z.string().regex(/^\d{0,7}$/, 'a number').transform((text) => (text === '' || Number(text) === 0 ? undefined : Number(text))).optional()

const voteForm = z.strictObject({
  csrf: z.string(),
  verdict: z.enum(['approve', 'deny']),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  revision: z.string().regex(/^\d{1,9}$/).transform(Number),
  shown: z.string().max(200),
  reason: words.transform((text) => text.trim() || undefined).optional(),
  /** What a passkey said to a yes, and what it was asked. */
  ceremony: z.string().max(8_000).optional(),
  credential: z.string().max(16_000).optional(),
  'grant-times': count,
  'grant-rows': count,
  'grant-minutes': count,
})

const withdrawal = z.strictObject({})

const query = z.strictObject({
  state: z.string().transform((list) => list.split(',')).pipe(z.array(z.enum(states)).min(1).max(states.length)).optional(),
  service: z.string().min(1).max(200).optional(),
  review: z.literal('due').optional(),
  after: z.string().regex(/^[\x21-\x7e]{1,256}$/).optional(),
  limit: z.string().regex(/^[1-9]\d{0,2}$/).transform(Number).pipe(z.int().max(100)).optional(),
})

const pageQuery = query.pick({ after: true, limit: true })

const moment = z.string().max(40).transform((text, context): number => {
  const at = parseMoment(text, Date.now())
  if (at === undefined) context.addIssue({ code: 'custom', message: 'a day such as 2026-11-21, a time such as 2026-11-21T18:04Z, or how long ago, such as 7d' })
  return at ?? 0
})

const sought = z.string().max(300).refine((text) => text.isWellFormed(), 'halves of characters')
const auditQuery = z.strictObject({
  ...(Object.fromEntries(searchFields.map((name) => [name, sought.optional()])) as Record<SearchField, z.ZodOptional<typeof sought>>),
  text: sought.optional(),
  from: moment.optional(),
  to: moment.optional(),
  after: z.string().regex(/^-?\d{1,16}$/).optional(),
  limit: z.string().regex(/^[1-9]\d{0,2}$/).transform(Number).pipe(z.int().max(200)).optional(),
})

const exportQuery = auditQuery.omit({ after: true, limit: true }).extend({ format: z.enum(exportFormats).optional() })

const node = z.string().regex(nodeId, 'the id of a node')
const lineageQuery = z.strictObject({ ...(Object.fromEntries(lineageFields.map((name) => [name, sought.optional()])) as Record<LineageField, z.ZodOptional<typeof sought>>), node: node.optional(), from: moment.optional(), to: moment.optional() })
const pathQuery = z.strictObject({ start: sought.min(1), end: sought.min(1), from: moment.optional(), to: moment.optional() })

const streamQuery = z.strictObject({ after: z.string().regex(/^[\x21-\x7e]{1,128}$/).optional() })

const inboxQuery = z.strictObject({ tab: z.string().max(20).optional(), after: z.string().regex(/^[\x21-\x7e]{1,256}$/).optional() })

const breakGlassForm = voteForm.pick({ csrf: true, digest: true, revision: true, shown: true, reason: true })
const reviewForm = z.strictObject({ csrf: z.string(), note: words })
const handOverForm = z.strictObject({ csrf: z.string(), group: z.union([z.literal(''), account]), subject: z.string().transform((text) => text.trim()).pipe(z.union([z.literal(''), account])), note: words.transform((text) => text.trim() || undefined).optional() })

export interface VoteForm extends BallotForm {
  readonly revision: number
  /** What the page showed. */
  readonly shown: string
  readonly ceremony?: string | undefined
  readonly credential?: string | undefined
}

export interface BreakGlassForm {
  readonly digest: Digest
  readonly reason?: string | undefined
  readonly revision?: number | undefined
}

/** One of several, as it was looked at. */
export interface Piece {
  readonly id: string
  readonly digest: Digest
  readonly revision: number
}

export interface BallotsForm {
  readonly verdict: 'approve' | 'deny'
  readonly reason?: string | undefined
  readonly holds: readonly Piece[]
}

/** Several of a page, each with what it showed. */
export interface PiecesForm extends Omit<BallotsForm, 'holds'> {
  readonly holds: readonly (Piece & { readonly shown: string })[]
}

export interface BallotForm {
  readonly verdict: 'approve' | 'deny'
  readonly digest: Digest
  readonly reason?: string | undefined
  readonly revision?: number | undefined
  readonly grant?: GrantBounds | undefined
}

export const parseBallots = (value: unknown): BallotsForm => checked(several, value) as BallotsForm
export const parseBallot = (value: unknown): BallotForm => checked(ballot, value) as BallotForm
export const parseVoteForm = (fields: ReadonlyMap<string, string>): VoteForm => {
  const { 'grant-times': times, 'grant-rows': rows, 'grant-minutes': minutes, ...form } = checked(voteForm, Object.fromEntries(fields))
  return { ...form, digest: form.digest as Digest, ...defined({ grant: form.verdict === 'approve' ? wishIn(times, rows, minutes) : undefined }) }
}

const pieceForm = voteForm.pick({ digest: true, revision: true, shown: true })
const piecesForm = voteForm.pick({ csrf: true, verdict: true, reason: true })

/** The fields of each hold carry its id: `digest.hold_…`. Only those with `take.hold_…` are meant. */
export const parsePiecesForm = (fields: ReadonlyMap<string, string>): PiecesForm => {
  const own = [...fields].filter(([name]) => name.includes('.'))
  const ids = own.flatMap(([name, value]) => (name.startsWith('take.') && value === 'yes' ? [name.slice(5)] : []))
  const { verdict, reason } = checked(piecesForm, Object.fromEntries([...fields].filter(([name]) => !name.includes('.'))))
  const piece = (id: string): PiecesForm['holds'][number] => {
    const { digest, revision, shown } = checked(pieceForm, Object.fromEntries(own.flatMap(([name, value]) => (name.endsWith(`.${id}`) && !name.startsWith('take.') ? [[name.slice(0, -id.length - 1), value]] : []))))
    return { id: checked(holdId, id), digest: digest as Digest, revision, shown }
  }
  return { verdict, ...defined({ reason }), holds: atMost(ids.map(piece)) }
}

/** The holds that somebody chose in a list. */
export const parseChosen = (parameters: URLSearchParams): readonly string[] => {
  if ([...parameters.keys()].some((name) => name !== 'hold')) throw new Refusal('malformed', 'Not understood: only holds are chosen here.')
  return atMost([...new Set(parameters.getAll('hold').map((id) => checked(holdId, id)))])
}

const atMost = <T>(chosen: readonly T[]): readonly T[] => {
  if (chosen.length > mostTogether) throw new Refusal('malformed', `Choose at most ${mostTogether} at a time: whoever decides more in one step has not looked at them. Nothing was decided.`)
  return chosen
}

/** How many more says whether there is a grant; then there is more to say. */
const wishIn = (times: number | undefined, rows: number | undefined, minutes: number | undefined): GrantBounds | undefined => {
  if (times === undefined && rows === undefined && minutes === undefined) return undefined
  if (times === undefined || minutes === undefined) throw new Refusal('malformed', 'To let more like this through, say how many more and for how many minutes. Nothing was decided.')
  return { times, withinMs: minutes * 60_000, ...defined({ rows }) }
}
export const parseBreakGlass = (value: unknown): BreakGlassForm => checked(breaking, value) as BreakGlassForm
export const parseBreakGlassForm = (fields: ReadonlyMap<string, string>) => checked(breakGlassForm, Object.fromEntries(fields)) as Omit<VoteForm, 'verdict'>
export const parseReviewForm = (fields: ReadonlyMap<string, string>) => checked(reviewForm, Object.fromEntries(fields))
export const parseHandOverForm = (fields: ReadonlyMap<string, string>) => checked(handOverForm, Object.fromEntries(fields))
export const parseHandOver = (value: unknown) => checked(handing, value)
export const parseReview = (value: unknown) => checked(reviewing, value)
export const parseInboxQuery = (parameters: URLSearchParams) => checked(inboxQuery, single(parameters))
export const parseWithdrawal = (value: unknown): void => void checked(withdrawal, value)
export const parseGrantsQuery = (parameters: URLSearchParams) => checked(pageQuery.pick({ after: true }), single(parameters))
export const parsePageQuery = (parameters: URLSearchParams) => checked(pageQuery, single(parameters))
export const parseHoldQuery = (parameters: URLSearchParams) => checked(query, single(parameters))
/** What a form leaves empty is not asked. */
export const parseAuditQuery = (parameters: URLSearchParams): { readonly question: AuditQuestion; readonly after: string | undefined; readonly limit: number | undefined } => {
  const { text, from, to, after, limit, ...fields } = checked(auditQuery, filled(parameters))
  return { question: { fields: defined(fields) as AuditQuestion['fields'], ...defined({ text, from, to }) }, after, limit }
}
export const parseExportQuery = (parameters: URLSearchParams): { readonly question: AuditQuestion; readonly format: ExportFormat } => {
  const { text, from, to, format, ...fields } = checked(exportQuery, filled(parameters))
  return { question: { fields: defined(fields) as AuditQuestion['fields'], ...defined({ text, from, to }) }, format: format ?? 'log' }
}
const filled = (parameters: URLSearchParams): Record<string, string> => Object.fromEntries(Object.entries(single(parameters)).filter(([, value]) => value.trim() !== ''))
export const parseLineageQuery = (parameters: URLSearchParams): TraceQuestion => {
  const { node: one, from, to, ...fields } = checked(lineageQuery, filled(parameters))
  return { fields: defined(fields) as TraceQuestion['fields'], ...defined({ nodes: one === undefined ? undefined : [one], from, to }) }
}
export const parsePathQuery = (parameters: URLSearchParams): PathQuestion => {
  const { start, end, from, to } = checked(pathQuery, filled(parameters))
  return { start, end, ...defined({ from, to }) }
}
export const parseStreamQuery = (parameters: URLSearchParams) => checked(streamQuery, single(parameters))

const single = (parameters: URLSearchParams): Record<string, string> => {
  const names = [...parameters.keys()]
  if (new Set(names).size !== names.length) throw new Refusal('malformed', 'A query parameter stands twice.')
  return Object.fromEntries(parameters)
}

const checked = <T>(schema: z.ZodType<T>, value: unknown): T => {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const text = result.error.issues.slice(0, 3).map((issue) => (issue.path.length > 0 ? `${issue.path.join('.')}: ${issue.message}` : issue.message)).join('; ')
  throw new Refusal('malformed', `Not understood: ${text}.`)
}
