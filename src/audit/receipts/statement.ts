import { z } from 'zod'
import { canonicalJson } from '../../lib/canonical-json.ts'
import { BadReceipt, readStrictly } from './envelope.ts'

/*
 * What a receipt says: an in-toto statement about the digest of one action, in the one text that RFC 8785 gives it.
 * Nothing in it is optional to understand: a member that this version does not know makes it unreadable.
 */
export const receiptType = 'urn:countersign:receipt:v1'
const statementType = 'https://in-toto.io/Statement/v1'

const text = z.string()
const moment = z.iso.datetime()
const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/)
const party = z.strictObject({ issuer: text, subject: text })
const person = z.strictObject({ issuer: text, subject: text, kind: text.optional(), clientId: text.optional(), owner: party.optional() })
const bounds = z.strictObject({ times: z.number(), rows: z.number().optional(), withinMs: z.number() })

const evidence = z.strictObject({ statement: text, passkey: text, publicKey: text, clientData: text, authenticatorData: text, signature: text })

const approver = z.strictObject({
  issuer: text,
  subject: text,
  kind: text.optional(),
  verdict: z.enum(['approve', 'deny']),
  channel: text,
  assurance: text,
  digest,
  at: moment,
  shown: text.optional(),
  reason: text.optional(),
  loggedInAt: moment.optional(),
  grant: bounds.optional(),
  releasedAlone: z.literal(true).optional(),
  /** It stopped counting: its author lost the right before the terms were met. */
  dropped: z.literal(true).optional(),
  evidence: evidence.optional(),
})

const predicate = z.strictObject({
  deployment: text,
  made: moment,
  case: z.strictObject({ code: text.optional(), hold: text.optional(), attempts: z.array(text) }),
  action: z.strictObject({ protocol: text, service: text, verb: text, verbs: z.array(text).optional(), place: z.strictObject({ database: text, role: text }).optional(), resources: z.array(z.strictObject({ kind: text, name: text, access: text, tags: z.array(text) })), tags: z.array(text), shape: text }),
  decision: z.strictObject({
    verdict: z.enum(['allow', 'hold', 'deny']),
    /** What became of it. */
    result: z.enum(['allowed', 'denied-by-rule', 'waiting', 'approved', 'denied', 'expired', 'withdrawn', 'granted', 'refused']),
    refusal: text.optional(),
    policyVersion: text,
    /** Under which it was released, where that is another. */
    releasedUnder: text.optional(),
    rules: z.array(z.strictObject({ policy: text, rule: text, then: text, at: text, observed: z.boolean() })),
    grant: text.optional(),
  }),
  requester: z.strictObject({ ...person.shape, onBehalfOf: z.array(person) }),
  approvers: z.array(approver),
  /** The terms as the rules set them, and until when. */
  constraints: z.record(text, z.unknown()),
  times: z.strictObject({ requested: moment, held: moment.optional(), released: moment.optional(), started: moment.optional(), ended: moment.optional() }),
  effect: z.strictObject({
    permitted: z.enum(['once', 'nothing']),
    /** `running`: started, and no end is recorded. */
    observed: z.enum(['nothing', 'running', 'executed', 'failed', 'unknown']),
    starts: z.int(),
    /** Nothing was observed that was not permitted. */
    agrees: z.boolean(),
    status: text.optional(),
    rows: z.number().optional(),
    bytes: z.number().optional(),
  }),
  /** The records that it was made from: where each is in which log, and its RFC 6962 leaf hash. */
  /** There are more records of it than those: what came later is not in this receipt. */
  partial: z.literal(true).optional(),
  log: z.array(z.strictObject({ record: text, type: text, origin: text, index: z.int(), leaf: text })),
})

const statement = z.strictObject({
  _type: z.literal(statementType),
  subject: z.tuple([z.strictObject({ name: z.literal('action'), digest: z.strictObject({ sha256: z.string().regex(/^[0-9a-f]{64}$/) }) })]),
  predicateType: z.literal(receiptType),
  predicate,
})

export type ReceiptPredicate = z.infer<typeof predicate>
export type Approver = z.infer<typeof approver>

export interface Receipt {
  readonly digest: `sha256:${string}`
  readonly predicate: ReceiptPredicate
}

/** The text that is signed. */
export const receiptText = ({ digest: action, predicate: said }: Receipt): string => canonicalJson({ _type: statementType, subject: [{ name: 'action', digest: { sha256: action.slice('sha256:'.length) } }], predicateType: receiptType, predicate: said })

/** Throws `BadReceipt` for what is not a statement as it is written here. */
export const readReceipt = (payload: Uint8Array): Receipt => {
  const given = readStrictly(payload, 'what is signed')
  const { success, data, error } = statement.safeParse(given)
  if (!success) {
    const type = (given as { predicateType?: unknown } | null)?.predicateType
    throw new BadReceipt('unreadable', typeof type === 'string' && type !== receiptType ? `what is signed is about something else: ${JSON.stringify(type.slice(0, 200))}` : `what is signed is no receipt of this version, at ${error.issues[0]?.path.join('.') ?? ''}`)
  }
  if (canonicalJson(given) !== Buffer.from(payload).toString()) throw new BadReceipt('unreadable', 'what is signed is not in the one form that it has')
  return { digest: `sha256:${data.subject[0].digest.sha256}`, predicate: data.predicate }
}
