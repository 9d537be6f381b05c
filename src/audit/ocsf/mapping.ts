import { defined } from '../../lib/defined.ts'
import type { AuditEventType } from '../../model/audit-event.ts'
import { list, part, text, type RecordData } from '../record-data.ts'
import { application, asked, authenticated, changed, entitled, entityOf, holdOf, lived, policyOf, type Draft, type Remarks } from './draft.ts'
import { ocsfVersion, type Control, type Entity, type Metadata, type OcsfEvent } from './event.ts'

const allowed = { action_id: 1, disposition_id: 1 } as const
const approved = { action_id: 1, disposition_id: 8 } as const
const blocked = { action_id: 2, disposition_id: 2 } as const
const rejected = { action_id: 2, disposition_id: 25 } as const
/** The standard names it under allowed and under modified. A hold is not allowed yet. */
const delayed = { action_id: 4, disposition_id: 14 } as const
const alarmed = { action_id: 3, disposition_id: 19 } as const

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0

const decided = (control: Control, record: RecordData): Remarks => ({ control: { ...control, ...defined({ policy: policyOf(record['decision']) }) } })
const failed = (code: unknown, detail: unknown): Remarks => ({ status_id: 2, ...defined({ status_code: text(code), status_detail: text(detail) }) })
const voteOf = (record: RecordData): RecordData => part(record['vote'])
const accountOf = (record: RecordData): Entity => {
  const { chat, workspace, user } = part(record['account'])
  return entityOf('chat-account', [chat, workspace, user].map((name) => text(name) ?? '').join('/'))
}
const passkeyOf = (record: RecordData): Entity => entityOf('passkey', part(record['passkey'])['id'], part(record['passkey'])['name'])
const policies = (record: RecordData): Entity => ({ type: 'policy', name: 'policies', ...defined({ version: text(record['policyVersion']) }) })
const attemptOf = (record: RecordData): Entity => entityOf('attempt', record['attempt'])
const grantOf = (record: RecordData): Entity => entityOf('grant', record['grant'])
const log = { type: 'audit-log', name: 'audit log' }

const results: Readonly<Record<string, Remarks>> = { executed: { status_id: 1 }, failed: { status_id: 2 } }

const finished = (record: RecordData): Draft => {
  const { result, status, cause, ms } = part(record['outcome'])
  const known = typeof result === 'string' && Object.hasOwn(results, result) ? results[result] : undefined
  return changed(3, attemptOf(record), { ...(known ?? { status_id: 0 }), ...defined({ status_code: text(status), status_detail: text(cause), duration: typeof ms === 'number' && ms >= 0 ? Math.round(ms) : undefined }) })
}

const voted = (record: RecordData): Draft => {
  const { verdict, by, reason } = voteOf(record)
  return changed(3, holdOf(record), { by, comment: reason, control: verdict === 'deny' ? rejected : record['state'] === 'approved' ? approved : delayed })
}

const verdicts: Readonly<Record<string, Control>> = { allow: allowed, hold: delayed, deny: blocked }

/** How each record is told. A type added to the union breaks the build until somebody says it here. */
const table: { readonly [T in AuditEventType]: (record: RecordData) => Draft } = {
  'decided': (record) => {
    const verdict = String(part(record['decision'])['verdict'])
    return asked(record, { ...decided(Object.hasOwn(verdicts, verdict) ? (verdicts[verdict] ?? blocked) : blocked, record), ...(verdict === 'deny' ? { severity: 2 as const } : {}) })
  },
  'started': (record) => asked(record, decided(record['hold'] === undefined && record['grant'] === undefined ? allowed : approved, record)),
  'credential-lent': (record) => entitled(1, record),
  'credential-returned': (record) => entitled(2, record, record['cause'] === undefined ? { status_id: 1 } : { ...failed(undefined, record['cause']), severity: 4 }),
  finished,
  'outcome-unknown': (record) => changed(3, attemptOf(record), { status_id: 0, status_detail: 'started, and no end is recorded', severity: 3 }),
  'refused': (record) => asked(record, { control: blocked, ...failed(record['code'], record['cause']), severity: 2 }),
  'held': (record) => changed(1, holdOf(record), { by: record['caller'], control: delayed }),
  'attached': (record) => changed(3, holdOf(record), { by: record['caller'], control: delayed }),
  voted,
  'vote-refused': (record) => changed(3, holdOf(record), { by: record['by'], control: blocked, ...failed(record['refusal'], record['cause']), severity: 2 }),
  'hold-escalated': (record) => changed(3, holdOf(record), { control: delayed }),
  'advised': (record) => changed(3, holdOf(record), { comment: record['opinion'], control: delayed }),
  'handed-over': (record) => changed(3, holdOf(record), { by: record['by'], comment: record['note'], control: delayed }),
  'broke-glass': (record) => changed(3, holdOf(record), { by: voteOf(record)['by'], comment: voteOf(record)['reason'], control: approved, severity: 4 }),
  'break-glass-refused': (record) => changed(3, holdOf(record), { by: record['by'], control: blocked, ...failed(record['refusal'], record['cause']), severity: 3 }),
  'break-glass-reviewed': (record) => changed(3, holdOf(record), { by: record['by'], comment: record['note'] }),
  'review-overdue': (record) => changed(3, holdOf(record), { control: alarmed, severity: 4 }),
  'vote-dropped': (record) => changed(3, holdOf(record), { by: record['by'], control: delayed, status_detail: text(record['cause']) ?? 'dropped', severity: 3 }),
  'hold-expired': (record) => changed(11, holdOf(record), { control: blocked, status_detail: 'expired' }),
  'hold-withdrawn': (record) => changed(11, holdOf(record), { by: record['by'], control: blocked, status_detail: 'withdrawn' }),
  'released': (record) => changed(3, holdOf(record), { control: approved }),
  'grant-made': (record) => changed(1, grantOf(record), { by: record['caller'], control: approved }),
  'grant-used': (record) => asked(record, decided(approved, record)),
  'grant-ended': (record) => changed(11, grantOf(record), { by: record['by'], status_detail: text(record['end']) ?? 'ended' }),
  'store-tampered': (record) => changed('Tampered', holdOf(record), { control: { action_id: 2, disposition_id: 19 }, ...failed(undefined, record['cause']), severity: 5 }),
  'authentication-failed': (record) => authenticated(1, { address: record['address'], issuer: record['issuer'] }, { control: blocked, ...failed(record['step'], record['cause']), severity: 2, ...defined({ count: isCount(record['count']) ? record['count'] : undefined }) }),
  'signed-in': (record) => authenticated(1, part(record['caller']), { control: allowed, status_id: 1 }),
  'session-ended': (record) => authenticated(2, { session: record['session'] }, { status_detail: text(record['cause']) ?? 'ended' }),
  'linked': (record) => changed(6, accountOf(record), { by: record['by'] }),
  'unlinked': (record) => changed(7, accountOf(record), { by: record['by'] }),
  'passkey-added': (record) => changed(6, passkeyOf(record), { by: record['caller'] }),
  'passkey-removed': (record) => changed(7, passkeyOf(record), { by: record['caller'] }),
  'columns-renamed': (record) => changed('Columns renamed', entityOf('service', undefined, record['service']), { control: alarmed, severity: 3 }),
  'config-loaded': (record) => changed(3, policies(record), { status_id: 1 }),
  'config-rejected': (record) => changed(3, policies(record), { ...failed(undefined, list(record['problems']).filter((problem) => typeof problem === 'string').join('; ')), severity: 3 }),
  'replica-started': (record) => lived(3, {}, text(record['version'])),
  'replica-stopped': (record) => lived(4, { status_detail: text(record['cause']) ?? 'stopped' }),
  'checkpoint': () => lived('Signed'),
  'cosigned': () => lived('Cosigned'),
  'witnessed': () => lived('Witnessed'),
  'disk-mark': (record) => lived('Disk mark', { status_detail: `${text(record['mark']) ?? 'unknown'}: ${String(record['used'])} % of the disk are used`, severity: record['mark'] === 'none' ? 1 : record['mark'] === 'warn' ? 3 : 4 }),
  'audit-read': (record) => changed(2, log, { by: record['by'], comment: record['query'] }),
  'audit-read-refused': (record) => changed(2, log, { by: record['by'], comment: record['query'], control: blocked, ...failed(record['refusal'], undefined), severity: 2 }),
  'audit-exported': (record) => changed(2, log, { by: record['by'], comment: record['query'], ...(record['end'] === 'cut-short' ? failed('cut-short', record['cause']) : record['end'] === 'whole' ? { status_id: 1 } : {}) }),
  'erased': (record) => changed(4, entityOf('record', record['record']), { by: record['by'], comment: record['cause'] }),
  'records-lost': (record) => lived('Records lost', { ...failed(undefined, record['cause']), severity: 4 }),
}

const isKnown = (type: string): type is AuditEventType => Object.hasOwn(table, type)

const metadataOf = (record: RecordData, withControl: boolean): Metadata => {
  const id = text(record['id'])
  const [, log] = /^(.*)\/\d+$/.exec(id ?? '') ?? []
  return {
    version: ocsfVersion,
    product: application,
    event_code: text(record['type']) ?? 'unknown',
    ...(withControl ? { profiles: ['security_control'] as const } : {}),
    ...defined({ uid: id, sequence: isCount(record['seq']) ? record['seq'] : undefined, log_name: log, correlation_uid: text(record['hold']) ?? text(record['attempt']) ?? text(record['approval']), original_time: text(record['time']) }),
  }
}

const messageOf = (record: RecordData): string => {
  const { verb, service } = part(record['action'])
  return [record['type'], verb, service === undefined ? undefined : 'at', service].filter((word) => typeof word === 'string').join(' ')
}

/** One record of the log as one event of OCSF 1.8.0, whatever stands in it. The record itself stands whole under `unmapped.countersign`. */
export const ocsfOf = (record: RecordData): OcsfEvent => {
  const type = text(record['type']) ?? 'unknown'
  const at = Date.parse(text(record['time']) ?? '')
  const draft = isKnown(type) ? table[type](record) : undefined
  const { control, severity = 1, activity = type, own = { class_uid: 0 as const }, ...remarks } = draft ?? {}
  const activityId = typeof activity === 'number' ? activity : 99
  return {
    ...own,
    activity_id: activityId,
    ...(typeof activity === 'number' ? {} : { activity_name: activity }),
    category_uid: Math.floor(own.class_uid / 1_000),
    type_uid: own.class_uid * 100 + activityId,
    severity_id: severity,
    time: Number.isFinite(at) ? at : 0,
    message: messageOf(record),
    ...remarks,
    ...control,
    metadata: metadataOf(record, control !== undefined),
    unmapped: { countersign: record },
  } as OcsfEvent
}
