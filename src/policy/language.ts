import { z } from 'zod'
import { voteChannels } from '../model/decision.ts'

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

const principal = {
  groups: list.describe('Groups.').optional(),
  kind: kinds.describe('What it is: a person, a program, an agent.').optional(),
  issuers: list.describe('Issuers, by their short names or by `iss`.').optional(),
  subjects: list.describe('Subjects; patterns with `/` and `:` between segments.').optional(),
  'email-domains': list.describe('Domains of verified e-mail addresses.').optional(),
}
const someone = 'names nobody; leave it out where anybody is meant'

const callers = z
  .strictObject({
    ...principal,
    'client-ids': list.describe('Clients that got the token.').optional(),
    'on-behalf-of': z.union([z.strictObject(principal).refine((who) => Object.keys(who).length > 0, someone), z.enum(['nobody', 'anybody'])]).describe('Whom the caller acts for.').optional(),
    addresses: list.describe('Network ranges that the caller comes from.').optional(),
  })
  .refine((who) => Object.keys(who).length > 0, someone)

const user = z.strictObject({ issuer: text.describe('Short name of the issuer.'), subject: text.describe('Subject there.') })
const circle = { groups: z.array(text).describe('Members of any of these.').optional(), users: z.array(user).describe('These accounts.').optional() }
const group = z.strictObject({ ...circle, automations: z.array(user).describe('These accounts of programs, which decide by themselves. Never agents.').optional(), count: z.int().describe('How many of them; 1 if left out.').optional() })

const approval = z.strictObject({
  from: z.union([group, z.array(group).min(1)]).describe('Who approves; of a list each, with its own count.'),
  count: z.int().describe('How many people, where "from" is one group of them.').optional(),
  assurance: z.enum(['chat', 'console', 'passkey']).describe('How sure we must be of an approver; console if left out.').optional(),
  channels: z.array(z.enum(voteChannels)).describe('Through which channels a yes counts: console, cli, api, slack, teams; any if left out. A no counts through each.').optional(),
  'fresh-login': duration.describe('They must have logged in anew for it, at most so long before they vote.').optional(),
  within: duration.describe('To decide; 30m if left out.').optional(),
  'run-within': duration.describe('To run it once after that; 10m if left out.').optional(),
  'ask-reason': z.boolean().describe('Approvers say why.').optional(),
  escalate: z.strictObject({ after: duration.describe('Counted from the opening of the hold; shorter than "within".'), to: z.strictObject(circle).describe('Who may then approve in place of anybody in "from".') }).describe('Who else may approve if nothing is decided in time.').optional(),
  run: z.enum(['attached', 'when-approved']).describe('When-approved (HTTP): it runs without its client, once, and the reply is kept.').optional(),
  'shares-people': z.boolean().describe('One person may serve this and another rule that says the same.').optional(),
  drift: z.string().regex(/^(?:\d{1,4}(?:\.\d{1,2})?x|\d{1,9} rows?)$/, 'so many times as many rows, such as 2x, or so many more, such as 100 rows').describe('Databases: it does not run if by then it would change so many times as many rows (2x), or so many more (100 rows).').optional(),
  grant: z
    .strictObject({ times: z.int().min(1).max(1000).describe('How many more, at most.'), rows: z.int().min(1).max(1_000_000).describe('Databases: how many rows they may change together, at most.').optional(), within: duration.describe('For how long, at most; no longer than 24h.') })
    .describe('With an approval, approvers may let more of the same kind through: this is the most.')
    .optional(),
  irreversible: z.boolean().describe('What it does cannot be undone: approvers read that, and no grant is given.').optional(),
  together: z.boolean().describe('False: nobody approves it as one of several in one step. True if left out.').optional(),
})

const breakGlass = z.strictObject({
  who: z.strictObject(circle).describe('One of these people releases it alone. Never somebody behind the action.'),
  reason: z.int().describe('How many characters the reason has at least; 20 if left out.').optional(),
})

const mask = z.enum(['none', 'partial', 'hash', 'redact'])

const rule = z.strictObject({
  name: name.describe('Unique in its policy; stands in records, refusals and cases.'),
  description: prose.describe('For people who read the policy.').optional(),
  then: z.enum(['allow', 'hold', 'deny']).describe('Deny beats hold beats allow; what no rule allows is denied.'),
  callers: callers.describe('Who asks.').optional(),
  actions: list.describe('Kinds of actions: http.POST, sql.delete, sql.*, mcp.tools/call.').optional(),
  methods: list.describe('HTTP methods.').optional(),
  paths: list.describe('HTTP paths; * is one segment, ** any number.').optional(),
  'path-regex': list.describe('HTTP paths by expressions that begin with ^ and end with $.').optional(),
  query: z
    .record(text, z.union([z.string(), z.array(z.string()), z.strictObject({ not: z.array(z.string()).min(1) })]))
    .refine((keys) => Object.keys(keys).length > 0, 'asks for no key')
    .describe('Query parameters of HTTP requests, with exact values.')
    .optional(),
  tables: list.describe('Tables as schema.table. An allow rule must list all that a statement touches.').optional(),
  columns: list.describe('Columns as schema.table.column. A star in a statement names them all.').optional(),
  functions: list.describe('Functions that a statement calls, as schema.function.').optional(),
  tools: list.describe('MCP tools.').optional(),
  tags: list.describe('Data tags of the classification.').optional(),
  labels: labels.describe('Labels of the service, beside those of the policy.').optional(),
  if: z.string().min(1, 'must not be empty').max(4096).describe('A CEL condition over caller, action, service, now and one of http, sql, mcp.').optional(),
  mask: z.record(text, mask).describe('Databases: what clients get instead of values, by data tag or schema.table.column.').optional(),
  limits: z
    .strictObject({ rows: z.int().positive().describe('Most rows of an answer; a longer one ends with an error.').optional(), time: duration.describe('Longest run.').optional() })
    .describe('What a statement may take.')
    .optional(),
  approval: approval.describe('Of a rule that holds: who approves, and how.').optional(),
  'break-glass': breakGlass.describe('Of a rule that holds: who may release it alone in an emergency. Everybody is told, and somebody else must review it.').optional(),
  because: prose.describe('Why; the client and the approvers read it.').optional(),
  instead: prose.describe('What to do instead; the client reads it.').optional(),
})

const policyDocument = z.strictObject({
  policy: name.describe('Name of the policy, unique among all.'),
  description: prose.describe('For people who read the policy.').optional(),
  mode: z.enum(['enforce', 'observe']).describe('Observe: recorded, without effect.').optional(),
  services: z.union([list, labels]).describe('Which services it is about: names, or labels that they have; all if left out.').optional(),
  rules: z.array(rule).min(1, 'a policy without rules decides nothing').max(500).describe('In no order.'),
})

const tagged = z.record(text, z.array(name).min(1))

const classificationDocument = z.strictObject({
  classification: z.record(name, z.strictObject({ paths: tagged.describe('HTTP paths and their tags.').optional(), tables: tagged.describe('Tables (schema.table) and their tags.').optional(), columns: tagged.describe('Columns (schema.table.column) and their tags; `public` takes them out of those of their table.').optional(), tools: tagged.describe('MCP tools and their tags.').optional() })).describe('Data tags, by service.'),
  description: prose.describe('For people who read it.').optional(),
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
export type BreakGlassSource = z.infer<typeof breakGlass>
export type CircleSource = z.infer<z.ZodObject<typeof circle>>
export type RuleSource = z.infer<typeof rule>
export type PolicySource = z.infer<typeof policyDocument>
export type ClassificationSource = z.infer<typeof classificationDocument>
