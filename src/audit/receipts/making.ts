import { defined } from '../../lib/defined.ts'
import { leafHash } from '../../lib/leaf-hash.ts'
import { list, part, parts, text, type RecordData } from '../record-data.ts'
import type { FoundRecord } from '../search/audit-search.ts'
import { sealEnvelope, type ReceiptSigner } from './envelope.ts'
import { readReceipt, receiptText, type Approver, type Receipt, type ReceiptPredicate } from './statement.ts'

/* A receipt says what is on record, and nothing else: it is made of the records of one action. */

type Result = ReceiptPredicate['decision']['result']
type Observed = ReceiptPredicate['effect']['observed']

const texts = (value: unknown): string[] => list(value).filter((one) => typeof one === 'string')
const time = (at: unknown): string | undefined => (typeof at === 'number' && Math.abs(at) < 8.64e15 ? new Date(at).toISOString() : undefined)

export interface Case {
  /** Of its hold, or of its only try. */
  readonly name: string
  readonly records: readonly FoundRecord[]
  readonly data: readonly RecordData[]
}

/** Records that were found together, by the action that they are of: tries of one hold belong to it. In the order in which they began. */
export const casesIn = (records: readonly FoundRecord[]): readonly Case[] => {
  const all = records.map((found) => ({ found, data: JSON.parse(found.text) as RecordData }))
  const holdOf = new Map<unknown, string>()
  for (const { data } of all) if (typeof data['attempt'] === 'string' && typeof data['hold'] === 'string') holdOf.set(data['attempt'], data['hold'])
  const cases = Map.groupBy(all, ({ data }) => text(data['hold']) ?? holdOf.get(data['attempt']) ?? text(data['attempt']) ?? '')
  return [...cases].filter(([name]) => name !== '').map(([name, own]) => ({ name, records: own.map(({ found }) => found), data: own.map(({ data }) => data) }))
}

const personOf = (value: unknown) => {
  const { issuer, subject, kind, clientId, owner } = part(value)
  return { issuer: text(issuer) ?? '', subject: text(subject) ?? '', ...defined({ kind: text(kind), clientId: text(clientId), owner: owner === undefined ? undefined : { issuer: text(part(owner)['issuer']) ?? '', subject: text(part(owner)['subject']) ?? '' } }) }
}

const approverOf = (vote: RecordData): Approver => {
  const { by, verdict, channel, assurance, digest, at, shown, reason, loggedInAt, grant, brokeGlass, evidence } = vote
  const { issuer, subject, kind } = personOf(by)
  return { issuer, subject, verdict: verdict === 'approve' ? 'approve' : 'deny', channel: text(channel) ?? '', assurance: text(assurance) ?? '', digest: text(digest) ?? '', at: time(at) ?? '', ...defined({ kind, shown: text(shown), reason: text(reason), loggedInAt: time(loggedInAt), grant: grant as Approver['grant'], releasedAlone: brokeGlass === true ? (true as const) : undefined, evidence: evidence as Approver['evidence'] }) }
}

/** Each vote once: where the log of this replica has not its own record, as it was counted. */
const approversOf = (data: readonly RecordData[]): Approver[] => {
  const votes = new Map<string, Approver>()
  for (const { type, vote, votes: counted } of data) {
    for (const one of type === 'voted' || type === 'broke-glass' ? [part(vote)] : parts(counted)) {
      const approver = approverOf(one)
      const key = JSON.stringify([approver.issuer, approver.subject, approver.at])
      if (!votes.has(key) || approver.evidence !== undefined) votes.set(key, approver)
    }
  }
  const dropped = data.filter(({ type }) => type === 'vote-dropped').map(({ by }) => personOf(by))
  return [...votes.values()].map((vote) => (dropped.some(({ issuer, subject }) => issuer === vote.issuer && subject === vote.subject) ? { ...vote, dropped: true as const } : vote))
}

const resultOf = (data: readonly RecordData[]): Result => {
  const has = (type: string): boolean => data.some((one) => one['type'] === type)
  if (has('released')) return 'approved'
  if (has('grant-used')) return 'granted'
  if (has('hold-withdrawn')) return 'withdrawn'
  if (has('hold-expired')) return 'expired'
  const last = data.findLast(({ type }) => type === 'voted' || type === 'broke-glass')
  if (last !== undefined && (last['state'] === 'denied' || last['state'] === 'approved' || last['type'] === 'broke-glass')) return last['state'] === 'denied' ? 'denied' : 'approved'
  if (has('held') || has('voted')) return 'waiting'
  if (data.some(({ type, decision }) => type === 'decided' && part(decision)['verdict'] === 'deny')) return 'denied-by-rule'
  return has('started') ? 'allowed' : 'refused'
}

const effectOf = (data: readonly RecordData[], result: Result): ReceiptPredicate['effect'] => {
  const starts = data.filter(({ type }) => type === 'started')
  const ends = data.filter(({ type }) => type === 'finished' || type === 'outcome-unknown')
  const end = part(ends.at(-1)?.['outcome'])
  const observed: Observed = starts.length === 0 && ends.length === 0 ? 'nothing' : ends.length === 0 ? 'running' : ends.at(-1)?.['type'] === 'outcome-unknown' ? 'unknown' : ((text(end['result']) ?? 'unknown') as Observed)
  const permitted = result === 'allowed' || result === 'approved' || result === 'granted' ? 'once' : 'nothing'
  return { permitted, observed, starts: starts.length, agrees: starts.length <= (permitted === 'once' ? 1 : 0), ...defined({ status: text(end['status']), rows: typeof end['rows'] === 'number' ? end['rows'] : undefined, bytes: typeof end['bytes'] === 'number' ? end['bytes'] : undefined }) }
}

const actionOf = (action: RecordData): ReceiptPredicate['action'] => ({
  protocol: text(action['protocol']) ?? '', service: text(action['service']) ?? '', verb: text(action['verb']) ?? '', shape: text(action['shape']) ?? '', tags: texts(action['tags']),
  resources: parts(action['resources']).map(({ kind, name, access, tags }) => ({ kind: text(kind) ?? '', name: text(name) ?? '', access: text(access) ?? '', tags: texts(tags) })),
  ...defined({ verbs: Array.isArray(action['verbs']) ? texts(action['verbs']) : undefined, place: action['place'] as ReceiptPredicate['action']['place'] }),
})

/** `partial`: there are more records than these. `undefined` where what is here of the action does not say who asked for what. */
export const receiptOf = ({ records, data }: Case, deployment: string, made: number, partial = false): Receipt | undefined => {
  const of = (type: string): RecordData | undefined => data.find((one) => one['type'] === type)
  const timeOf = (one: RecordData | undefined): string | undefined => text(one?.['time'])
  const asked = data.find((one) => one['caller'] !== undefined && one['action'] !== undefined)
  const digest = part(asked?.['action'])['digest']
  const decisions = data.filter((one) => one['decision'] !== undefined && one['type'] !== 'refused')
  const decision = part((decisions.find(({ type }) => type === 'decided') ?? decisions[0])?.['decision'])
  if (asked === undefined || typeof digest !== 'string') return undefined
  const held = of('held')
  const released = of('released')
  const terms = part(held?.['terms'] ?? decision['terms'])
  const result = resultOf(data)
  const hold = data.map((one) => text(one['hold'])).find((one) => one !== undefined)
  const code = data.map((one) => text(one['code'])).find((one) => one?.startsWith('CS-'))
  const releasedUnder = text(released?.['policyVersion'])
  const policyVersion = text(decision['policyVersion']) ?? text(released?.['heldUnder']) ?? ''
  return {
    digest: digest as Receipt['digest'],
    predicate: {
      deployment,
      made: new Date(made).toISOString(),
      case: { attempts: [...new Set(data.flatMap((one) => text(one['attempt']) ?? []))], ...defined({ hold, code }) },
      action: actionOf(part(asked['action'])),
      decision: {
        verdict: (text(decision['verdict']) ?? (held === undefined ? 'deny' : 'hold')) as 'allow',
        result,
        policyVersion,
        rules: parts(decision['matched']).map(({ policy, rule, then, at, observed }) => ({ policy: text(policy) ?? '', rule: text(rule) ?? '', then: text(then) ?? '', at: text(at) ?? '', observed: observed === true })),
        ...defined({ refusal: result === 'refused' ? text(data.findLast(({ type }) => type === 'refused')?.['code']) : undefined, releasedUnder: releasedUnder === policyVersion ? undefined : releasedUnder, grant: text(of('grant-used')?.['grant']) }),
      },
      requester: { ...personOf(asked['caller']), onBehalfOf: parts(part(asked['caller'])['onBehalfOf']).map(personOf) },
      approvers: approversOf(data),
      constraints: { ...terms, ...defined({ until: time(held?.['deadline']) }) },
      times: { requested: timeOf(data[0]) ?? '', ...defined({ held: timeOf(held), released: timeOf(released), started: timeOf(of('started')), ended: timeOf(data.find(({ type }) => type === 'finished' || type === 'outcome-unknown') ?? of('hold-expired') ?? of('hold-withdrawn')) }) },
      effect: effectOf(data, result),
      ...(partial ? { partial: true as const } : {}),
      log: records.map(({ id, text: line }, at) => {
        const [replica = '', epoch = '', seq = ''] = id.split('/')
        return { record: id, type: text(data[at]?.['type']) ?? '', origin: `${deployment}/${replica}/${epoch}`, index: Number(seq), leaf: leafHash(line) }
      }),
    },
  }
}

/** What is signed is read as whoever checks it will read it: a receipt that would not verify is not given out. */
export const signReceipt = (receipt: Receipt, signers: readonly ReceiptSigner[]): string => {
  const signed = receiptText(receipt)
  readReceipt(Buffer.from(signed))
  return sealEnvelope(signed, signers)
}
