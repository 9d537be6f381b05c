import { list, part, parts, text, type RecordData } from '../../audit/record-data.ts'
import { targetsOf } from '../../audit/search/summary.ts'

/* What a pack says of one action, gathered record by record in whatever order they come. All of it is bounded. */

export interface CastVote {
  readonly by: string
  readonly issuer: string
  readonly verdict: string
  readonly channel: string
  readonly assurance: string
  readonly at: number
  readonly alone: boolean
}

/** Of a hold or of a try without one. Times are milliseconds, by the clock of whoever wrote the record. */
export interface CaseRow {
  name: string
  hold?: string
  code?: string
  first: number
  last: number
  records: number
  /** Where the first ones stand. */
  ids: string[]
  requester?: string
  issuer?: string
  kind?: string
  behalf?: string
  service?: string
  verb?: string
  on?: string[]
  tags?: string[]
  digest?: string
  verdict?: string
  rules?: string[]
  policy?: string
  heldAt?: number
  votes: CastVote[]
  met?: true
  denied?: true
  dropped?: true
  releasedAt?: number
  expiredAt?: number
  expiredFrom?: string
  withdrawnAt?: number
  starts: number
  startedAt?: number
  endedAt?: number
  result?: string
  status?: string
  rows?: number
  refusals: string[]
  /** Those who tried to approve what is theirs. */
  own: string[]
  brokeGlassAt?: number
  reviewedAt?: number
  overdue?: true
  grant?: string
  /** Credentials that were issued for it, and those that were given back. */
  lent: number
  returned: number
}

const mostIds = 200
const repeats: ReadonlySet<string> = new Set(['decided', 'attached', 'refused', 'vote-refused'])
const mostVotes = 40
const mostListed = 20

export const emptyRow = (name: string): CaseRow => ({ name, first: Infinity, last: -Infinity, records: 0, ids: [], votes: [], starts: 0, refusals: [], own: [], lent: 0, returned: 0 })

const add = (into: string[], value: string | undefined, most = mostListed): void => {
  if (value !== undefined && into.length < most && !into.includes(value)) into.push(value)
}

const voteOf = (value: unknown): CastVote => {
  const { by, verdict, channel, assurance, at, brokeGlass } = part(value)
  return { by: text(part(by)['subject']) ?? '', issuer: text(part(by)['issuer']) ?? '', verdict: text(verdict) ?? '', channel: text(channel) ?? '', assurance: text(assurance) ?? '', at: typeof at === 'number' ? at : 0, alone: brokeGlass === true }
}

const addVotes = (row: CaseRow, votes: readonly unknown[]): void => {
  for (const one of votes.map(voteOf)) if (row.votes.length < mostVotes && !row.votes.some(({ by, issuer, at }) => by === one.by && issuer === one.issuer && at === one.at)) row.votes.push(one)
}

const least = (a: number | undefined, b: number): number => (a === undefined || b < a ? b : a)

const learnSubject = (row: CaseRow, { caller, action, decision }: RecordData): void => {
  if (caller !== undefined && row.requester === undefined) {
    const who = part(caller)
    const [behalf] = parts(who['onBehalfOf'])
    Object.assign(row, { requester: text(who['subject']) ?? '', issuer: text(who['issuer']) ?? '', kind: text(who['kind']) ?? '', ...(behalf === undefined ? {} : { behalf: text(behalf['subject']) ?? '' }) })
  }
  if (action !== undefined && row.digest === undefined) {
    const what = part(action)
    Object.assign(row, { digest: text(what['digest']) ?? '', service: text(what['service']) ?? '', verb: text(what['verb']) ?? '', on: targetsOf(what).slice(0, 5), tags: list(what['tags']).map(String).slice(0, 10) })
  }
  const { verdict, matched, policyVersion } = part(decision)
  if (text(verdict) !== undefined && (row.verdict === undefined || verdict === 'hold')) {
    row.verdict = text(verdict) ?? ''
    row.policy = text(policyVersion) ?? ''
    row.rules = parts(matched).map(({ policy, rule }) => `${String(policy)}/${String(rule)}`).slice(0, mostListed)
  }
}

/** What it says of one record more, written at that time. */
export const learn = (row: CaseRow, record: RecordData, at: number): void => {
  row.first = Math.min(row.first, at)
  row.last = Math.max(row.last, at)
  row.records++
  // Of thousands of repeats that wait for one hold, the steps of the hold itself are kept.
  if (row.ids.length < (repeats.has(String(record['type'])) ? mostIds / 2 : mostIds)) row.ids.push(String(record['id']))
  const hold = text(record['hold'])
  if (hold !== undefined) row.hold ??= hold
  const code = text(record['code'])
  if (code?.startsWith('CS-') === true) row.code ??= code
  learnSubject(row, record)
  steps[String(record['type'])]?.(row, record, at)
}

const steps: Readonly<Record<string, (row: CaseRow, record: RecordData, at: number) => void>> = {
  'held': (row, { terms }, at) => {
    row.heldAt = least(row.heldAt, at)
    if (row.rules === undefined || row.rules.length === 0) row.rules = parts(part(terms)['requirements']).map(({ policy, rule }) => `${String(policy)}/${String(rule)}`)
  },
  'voted': (row, { vote, state }) => {
    addVotes(row, [vote])
    if (state === 'approved') row.met = true
    if (state === 'denied') row.denied = true
  },
  'broke-glass': (row, { vote }, at) => {
    addVotes(row, [vote])
    row.met = true
    row.brokeGlassAt = least(row.brokeGlassAt, at)
  },
  'released': (row, { votes }, at) => {
    addVotes(row, list(votes))
    row.releasedAt = least(row.releasedAt, at)
  },
  'vote-dropped': (row) => void (row.dropped = true),
  'hold-expired': (row, { from }, at) => {
    row.expiredAt = least(row.expiredAt, at)
    row.expiredFrom = text(from) ?? ''
  },
  'hold-withdrawn': (row, _record, at) => void (row.withdrawnAt = least(row.withdrawnAt, at)),
  'started': (row, { grant }, at) => {
    row.starts++
    row.startedAt = least(row.startedAt, at)
    if (typeof grant === 'string') row.grant = grant
  },
  'finished': (row, { outcome }, at) => {
    const { result, status, rows } = part(outcome)
    row.endedAt = at
    row.result = text(result) ?? 'unknown'
    if (typeof status === 'string') row.status = status
    if (typeof rows === 'number') row.rows = rows
  },
  'outcome-unknown': (row, _record, at) => {
    row.endedAt = at
    row.result = 'unknown'
  },
  'refused': (row, { code }) => add(row.refusals, text(code)),
  'vote-refused': (row, { refusal, by }) => (refusal === 'self-approval' ? add(row.own, text(part(by)['subject'])) : add(row.refusals, `vote: ${String(refusal)}`)),
  'break-glass-refused': (row, { refusal, by }) => (refusal === 'self-approval' ? add(row.own, text(part(by)['subject'])) : add(row.refusals, `break-glass: ${String(refusal)}`)),
  'break-glass-reviewed': (row, _record, at) => void (row.reviewedAt = least(row.reviewedAt, at)),
  'review-overdue': (row) => void (row.overdue = true),
  'credential-lent': (row) => void row.lent++,
  'credential-returned': (row, { cause }) => {
    if (cause === undefined) row.returned++
  },
  'grant-used': (row, { grant, votes }) => {
    if (typeof grant === 'string') row.grant = grant
    addVotes(row, list(votes))
  },
}

/** A try turned out to be one of this hold. */
export const absorb = (row: CaseRow, other: CaseRow): void => {
  for (const [key, value] of Object.entries(other) as [keyof CaseRow, unknown][]) if (row[key] === undefined && value !== undefined) Object.assign(row, { [key]: value })
  row.first = Math.min(row.first, other.first)
  row.last = Math.max(row.last, other.last)
  row.records += other.records
  row.starts += other.starts
  row.lent += other.lent
  row.returned += other.returned
  row.ids = [...row.ids, ...other.ids].slice(0, mostIds)
  for (const one of other.votes) if (!row.votes.some(({ by, at }) => by === one.by && at === one.at)) row.votes.push(one)
  for (const one of other.refusals) add(row.refusals, one)
  for (const one of other.own) add(row.own, one)
  if (other.verdict === 'hold') Object.assign(row, { verdict: other.verdict, rules: other.rules ?? [], policy: other.policy ?? '' })
}

export const heldStates = ['approved', 'denied', 'expired', 'withdrawn', 'open'] as const
export type HeldState = (typeof heldStates)[number]

/** What people made of it. An approval that was never used is one, and its end is that nothing ran. */
export const heldStateOf = (row: CaseRow): HeldState => {
  if (row.withdrawnAt !== undefined) return 'withdrawn'
  if (row.denied) return 'denied'
  if (row.releasedAt !== undefined) return 'approved'
  if (row.met && !row.dropped && row.expiredFrom !== 'pending') return 'approved'
  return row.expiredAt !== undefined ? 'expired' : 'open'
}

export const endStates = ['executed', 'failed', 'unknown', 'running', 'not executed'] as const
export type EndState = (typeof endStates)[number]

export const endStateOf = ({ starts, result }: CaseRow): EndState => (result === 'executed' || result === 'failed' || result === 'unknown' ? result : starts > 0 ? 'running' : 'not executed')

export const otherStates = ['allowed', 'granted', 'denied by a rule', 'refused'] as const
export type CaseState = HeldState | (typeof otherStates)[number]

export const isHeld = ({ heldAt, hold }: CaseRow): boolean => heldAt !== undefined || hold !== undefined

export const stateOf = (row: CaseRow): CaseState => (isHeld(row) ? heldStateOf(row) : row.grant !== undefined ? 'granted' : row.verdict === 'deny' ? 'denied by a rule' : row.starts > 0 ? 'allowed' : 'refused')

/** More was started than had been let through. */
export const startedTooOften = (row: CaseRow): boolean => row.starts > (stateOf(row) === 'approved' || stateOf(row) === 'allowed' || stateOf(row) === 'granted' ? 1 : 0)

/** From the asking to the last vote that was needed. */
export const decidedWithinMs = ({ heldAt, votes }: CaseRow, vote: CastVote): number | undefined => (heldAt === undefined || vote.at === 0 || votes.length === 0 ? undefined : Math.max(0, vote.at - heldAt))
