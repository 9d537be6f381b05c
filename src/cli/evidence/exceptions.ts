import { part, text, type RecordData } from '../../audit/record-data.ts'
import { verbText } from '../../channels/words.ts'
import { endStateOf, isHeld, startedTooOften, stateOf, type CaseRow } from './case-row.ts'

/* What an auditor wants to see first. */

export const exceptionKinds = {
  'effect without permission': 'Something was started that had not been let through, or once more than it was',
  'approved by who asked': 'A yes of the requester, or of whom they act for, was counted',
  'log not whole': 'Records are missing, changed or not signed, or the log begins later than its start',
  'store tampered': 'A record of a hold in the store was not what this deployment had written',
  'outcome unknown': 'It was started, and nobody knows whether it had an effect',
  'broke glass': 'One person released it alone, in an emergency',
  'review overdue': 'Nobody has looked in time at what was released alone',
  'credential not returned': 'A credential was issued for one action, which is over, and it is not on record that it was given back',
  'self-approval tried': 'Somebody tried to approve what they, or a program of theirs, had asked for; it was refused',
  'records lost': 'A receiver of the log refused records for good; they are in the log',
  'approvals without reading': 'Decisions that are quicker than anybody reads, or never a no',
  'votes refused': 'A vote did not count, for another reason',
  'configuration refused': 'A configuration or policy was offered that does not load; the old one stayed in force',
  'reading refused': 'Somebody wanted to read the audit log who may not',
} as const

export type ExceptionKind = keyof typeof exceptionKinds

/** The first of them need an answer; the last are for information. */
export const gravityOf: Readonly<Record<ExceptionKind, 'grave' | 'look' | 'note'>> = {
  'effect without permission': 'grave', 'approved by who asked': 'grave', 'log not whole': 'grave', 'store tampered': 'grave', 'outcome unknown': 'look', 'broke glass': 'look', 'review overdue': 'grave',
  'credential not returned': 'look', 'self-approval tried': 'look', 'records lost': 'look', 'approvals without reading': 'look', 'votes refused': 'note', 'configuration refused': 'note', 'reading refused': 'note',
}

export interface Exception {
  readonly kind: ExceptionKind
  readonly at: string
  /** The case or record. */
  readonly name: string
  readonly text: string
}

const when = (at: number | undefined): string => (at === undefined || !(Math.abs(at) <= 8.64e15) ? '' : new Date(at).toISOString())
const label = (row: CaseRow): string => row.code ?? row.name
const asked = ({ requester = 'somebody', verb = '', service = '', on = [] }: CaseRow): string => `${verbText(verb)} ${on[0] ?? ''} at ${service}, asked by ${requester}`

export const exceptionsOf = (row: CaseRow): readonly Exception[] => {
  const found: Exception[] = []
  const say = (kind: ExceptionKind, at: number | undefined, words: string): void => void found.push({ kind, at: when(at), name: label(row), text: words })
  if (startedTooOften(row)) say('effect without permission', row.startedAt, `${asked(row)}; started ${row.starts === 1 ? 'once' : `${row.starts} times`}, and it was ${stateOf(row)}`)
  else if (isHeld(row) && row.startedAt !== undefined && row.expiredAt !== undefined && row.startedAt > row.expiredAt) say('effect without permission', row.startedAt, `${asked(row)}; started after it had expired`)
  const own = row.votes.find((vote) => vote.verdict === 'approve' && vote.issuer === row.issuer && (vote.by === row.requester || vote.by === row.behalf))
  if (own !== undefined) say('approved by who asked', own.at, `${asked(row)}; yes of ${own.by}`)
  if (endStateOf(row) === 'unknown') say('outcome unknown', row.endedAt, asked(row))
  if (row.brokeGlassAt !== undefined) say('broke glass', row.brokeGlassAt, `${asked(row)}; by ${row.votes.filter(({ alone }) => alone).map(({ by }) => by).join(', ')}; ${row.reviewedAt === undefined ? 'not reviewed' : `reviewed ${when(row.reviewedAt)}`}`)
  if (row.overdue === true) say('review overdue', row.last, `${asked(row)}; ${row.reviewedAt === undefined ? 'nobody has reviewed it' : `reviewed late, ${when(row.reviewedAt)}`}`)
  if (row.endedAt !== undefined && row.lent > row.returned) say('credential not returned', row.endedAt, `${asked(row)}; ${row.lent - row.returned} of ${row.lent}`)
  for (const who of row.own) say('self-approval tried', row.heldAt ?? row.first, `${who} tried: ${asked(row)}`)
  for (const one of row.refusals) if (one.startsWith('vote: ') || one.startsWith('break-glass: ')) say('votes refused', row.first, `${asked(row)}; ${one}`)
  return found
}

/** Of records that belong to no action. */
export const exceptionIn = (record: RecordData): Exception | undefined => {
  const about = (kind: ExceptionKind, words: string): Exception => ({ kind, at: text(record['time']) ?? '', name: text(record['id']) ?? '', text: words })
  const cause = text(record['cause']) ?? ''
  switch (record['type']) {
    case 'store-tampered': return about('store tampered', `${text(record['hold']) ?? ''}: ${cause}`)
    case 'records-lost': return about('records lost', `${String(record['count'])} at ${text(record['sink']) ?? ''}: ${cause}`)
    case 'config-rejected': return about('configuration refused', Array.isArray(record['problems']) ? record['problems'].slice(0, 3).map(String).join('; ') : '')
    case 'audit-read-refused': return about('reading refused', `${text(part(record['by'])['subject']) ?? ''}: ${text(record['query']) ?? ''}`)
    default: return undefined
  }
}
