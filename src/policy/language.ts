import { z } from 'zod'

/* The shape of a policy file. What the words mean is in docs/policies.md; what cannot be said by shape is checked in load.ts. */

const text = z.string().min(1, 'must not be empty').max(1000)
/** Clients read it, in headers of errors as well as in terminals. */
const prose = z.string().min(1, 'must not be empty').max(4000).refine((text) => !/\p{Cc}/u.test(text.replaceAll(/[\n\t]/g, '')), 'must not contain control characters')
const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'a name is letters, digits, "-", "_" and ".", at most 64 characters')
const duration = z.string().regex(/^(?:\d{1,6}(?:ms|s|m|h|d))+$/, 'a duration such as 30s, 10m, 1h30m')

/** Any of these; or, with `not`, none of these. */
const list = z.union([z.array(text).max(500), z.strictObject({ not: z.array(text).min(1, '"not" with an empty list would match everything').max(500) })])

const labels = z.record(name, z.union([text, list]))

const kind = z.enum(['human', 'workload', 'agent'])
const kinds = z.union([kind, z.array(kind), z.strictObject({ not: z.array(kind).min(1) })])

const principal = { groups: list.optional(), kind: kinds.optional(), issuers: list.optional(), subjects: list.optional(), 'email-domains': list.optional() }
const someone = 'names nobody; leave it out where anybody is meant'

const callers = z
  .strictObject({
    ...principal,
    'client-ids': list.optional(),
    'on-behalf-of': z.union([z.strictObject(principal).refine((who) => Object.keys(who).length > 0, someone), z.enum(['nobody', 'anybody'])]).optional(),
    addresses: list.optional(),
  })
  .refine((who) => Object.keys(who).length > 0, someone)

const user = z.strictObject({ issuer: text, subject: text })
const group = z.strictObject({ groups: z.array(text).optional(), users: z.array(user).optional(), count: z.int().optional() })

const approval = z.strictObject({
  from: z.union([group, z.array(group).min(1)]),
  count: z.int().optional(),
  assurance: z.enum(['chat', 'console', 'passkey']).optional(),
  within: duration.optional(),
  'run-within': duration.optional(),
  'ask-reason': z.boolean().optional(),
  run: z.enum(['attached', 'when-approved']).optional(),
  'shares-people': z.boolean().optional(),
  drift: z.string().regex(/^(?:\d{1,4}(?:\.\d{1,2})?x|\d{1,9} rows?)$/, 'so many times as many rows, such as 2x, or so many more, such as 100 rows').optional(),
})

const mask = z.enum(['none', 'partial', 'hash', 'redact'])

const rule = z.strictObject({
  name,
  description: prose.optional(),
  then: z.enum(['allow', 'hold', 'deny']),
  callers: callers.optional(),
  actions: list.optional(),
  methods: list.optional(),
  paths: list.optional(),
  'path-regex': list.optional(),
  query: z.record(text, z.union([z.string(), z.array(z.string()), z.strictObject({ not: z.array(z.string()).min(1) })])).refine((keys) => Object.keys(keys).length > 0, 'asks for no key').optional(),
  tables: list.optional(),
  columns: list.optional(),
  functions: list.optional(),
  tools: list.optional(),
  tags: list.optional(),
  labels: labels.optional(),
  if: z.string().min(1, 'must not be empty').max(4096).optional(),
  mask: z.record(text, mask).optional(),
  limits: z.strictObject({ rows: z.int().positive().optional(), time: duration.optional() }).optional(),
  approval: approval.optional(),
  because: prose.optional(),
  instead: prose.optional(),
})

const policyDocument = z.strictObject({
  policy: name,
  description: prose.optional(),
  mode: z.enum(['enforce', 'observe']).optional(),
  services: z.union([list, labels]).optional(),
  rules: z.array(rule).min(1, 'a policy without rules decides nothing').max(500),
})

const tagged = z.record(text, z.array(name).min(1))

const classificationDocument = z.strictObject({
  classification: z.record(name, z.strictObject({ paths: tagged.optional(), tables: tagged.optional(), columns: tagged.optional(), tools: tagged.optional() })),
  description: prose.optional(),
})

export const policySchema = policyDocument
export const classificationSchema = classificationDocument
/** What a policy file may hold, for editors. */
export const fileSchema = z.union([policyDocument, classificationDocument])

export type List = z.infer<typeof list>
export type Labels = z.infer<typeof labels>
export type CallersSource = z.infer<typeof callers>
export type PrincipalSource = z.infer<z.ZodObject<typeof principal>>
export type ApprovalSource = z.infer<typeof approval>
export type RuleSource = z.infer<typeof rule>
export type PolicySource = z.infer<typeof policyDocument>
export type ClassificationSource = z.infer<typeof classificationDocument>
